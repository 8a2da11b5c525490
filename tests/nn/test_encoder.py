"""Encoders and heads, as the data and the spec select them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import zoo
from zoo.nn.encoder import EmbeddingConfig, NormaliserConfig, OneHotConfig, make_encoder
from zoo.nn.head import HeadConfig, make_head

NUMBERS = zoo.Signature(features=2, input_scale=zoo.Scale((1.0, 2.0), (4.0, 8.0)))
WORDS = zoo.Signature(vocabulary=("<pad>", "<unk>", "a"), tokenizer="words")
CHARACTERS = zoo.Signature(vocabulary=("a", "b"), tokenizer="characters")


def test_the_data_determine_the_default_encoder() -> None:
    assert isinstance(make_encoder(None, NUMBERS), zoo.Normaliser)
    assert isinstance(make_encoder(None, WORDS), zoo.Embedding)
    assert isinstance(make_encoder(None, CHARACTERS), zoo.OneHot)


def test_numbers_are_scaled_with_the_scale_of_the_signature() -> None:
    encoder = make_encoder(None, NUMBERS)
    assert encoder(torch.tensor([[[5, 10]]])).tolist() == [[[1.0, 1.0]]]
    plain = make_encoder(None, zoo.Signature(features=2))
    assert plain(torch.tensor([[[5, 10]]])).tolist() == [[[5.0, 10.0]]]


def test_tokens_become_vectors() -> None:
    x = torch.tensor([[1, 0]])
    assert make_encoder(None, CHARACTERS)(x).tolist() == [[[0.0, 1.0], [1.0, 0.0]]]
    embedding = make_encoder(EmbeddingConfig(name="embedding", size=5, dropout=0.5), WORDS)
    assert isinstance(embedding, zoo.Embedding)
    assert embedding.output_size == 5
    assert embedding.eval()(x).shape == (1, 2, 5)
    assert torch.equal(embedding(x)[0, 0], embedding.table.weight[1])
    assert bool((embedding.train()(x.expand(50, 2)) == 0).any())


def test_an_encoder_for_other_data_is_refused() -> None:
    with pytest.raises(zoo.SpecError, match=r"encoder\.name: 'one_hot' is for tokens and these data are numbers"):
        make_encoder(OneHotConfig(name="one_hot"), NUMBERS)
    with pytest.raises(zoo.SpecError, match=r"encoder\.name: 'normaliser' is for numbers and these data are tokens"):
        make_encoder(NormaliserConfig(name="normaliser"), WORDS)
    many = zoo.Signature(vocabulary=tuple(map(str, range(1025))), tokenizer="words")
    with pytest.raises(zoo.SpecError, match="would make 1,025 numbers of each token"):
        make_encoder(OneHotConfig(name="one_hot"), many)


def test_a_head_without_options_is_one_linear_layer() -> None:
    head = make_head(4, 3, HeadConfig())
    assert isinstance(head, nn.Linear)
    assert (head.in_features, head.out_features) == (4, 3)


def test_a_head_has_the_modules_of_its_options_in_order() -> None:
    config = HeadConfig(
        input_activation="relu", dropout=0.5, hidden=(8, 6), activation="tanh", output_activation="relu"
    )
    head = make_head(4, 1, config)
    assert isinstance(head, nn.Sequential)
    kinds = [nn.ReLU, *[nn.Dropout, nn.Linear, nn.Tanh] * 2, nn.Dropout, nn.Linear, nn.ReLU]
    assert [type(module) for module in head] == kinds
    assert [module.out_features for module in head if isinstance(module, nn.Linear)] == [8, 6, 1]
    assert head(torch.zeros(2, 7, 4)).shape == (2, 7, 1)
