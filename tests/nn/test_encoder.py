"""Encoders and heads, as the data and the spec select them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import zoo
from tests.support.table_models import GROUPED, SIGNATURE, STORES, draw_table, make_table_model
from zoo.nn.encoder import (
    EmbeddingConfig,
    NormaliserConfig,
    OneHotConfig,
    TableEncoderConfig,
    encoded_names,
    make_encoder,
)
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


# --- categories -----------------------------------------------------------------------------------------------------


def table_encoder(config: TableEncoderConfig | None = None, signature: zoo.Signature = SIGNATURE) -> zoo.TableEncoder:
    encoder = make_encoder(config, signature)
    assert isinstance(encoder, zoo.TableEncoder)
    return encoder.eval()


def test_numbers_are_scaled_and_categories_become_vectors() -> None:
    encoder = table_encoder()
    assert [type(vector) for vector in encoder.vectors] == [zoo.OneHot, zoo.Embedding]
    assert (encoder.categories, encoder.output_size) == ((0, 4, 13, 0), 2 + 4 + 6)
    x = torch.tensor([[[23.0, 2.0, 12.0, 1.0], [3.0, 0.0, 0.0, -1.0]]])
    vectors = encoder(x)
    assert vectors[0, 0, :6].tolist() == [1.0, 1.0, 0.0, 0.0, 1.0, 0.0]
    assert vectors[0, 1, :6].tolist() == [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]  # the unknown one has a place of its own
    table = encoder.get_parameter("vectors.1.table.weight")
    assert table.shape == (STORES + 1, 6)
    assert torch.equal(vectors[0, :, 6:], table[[12, 0]])


def test_the_numbers_of_the_vectors_have_names() -> None:
    names = encoded_names(table_encoder(), SIGNATURE)
    kinds = ["kind unknown", "kind a", "kind b", "kind c"]
    assert list(names) == ["load", "price", *kinds, *(f"store {number}" for number in range(6))]
    assert encoded_names(table_encoder(), replace(SIGNATURE, columns=())) == ()
    plain = replace(NUMBERS, columns=("a", "b"))
    assert encoded_names(make_encoder(None, plain), plain) == ("a", "b")


def test_the_spec_selects_the_vectors_of_categories() -> None:
    embedded = table_encoder(TableEncoderConfig(name="table", categories="embedding", size=2))
    assert embedded.output_size == 2 + 2 + 2
    one_hot = table_encoder(TableEncoderConfig(name="table", categories="one_hot"))
    assert one_hot.output_size == 2 + 4 + 13
    many = zoo.Signature(features=1, categories=(tuple(map(str, range(400))),))
    assert table_encoder(None, many).output_size == 50
    assert table_encoder(None, many).numbers is None
    assert table_encoder(None, many)(torch.tensor([[[400.0], [0.0]]])).shape == (1, 2, 50)


def test_training_replaces_a_share_of_the_categories_by_unknown_ones() -> None:
    encoder = table_encoder(TableEncoderConfig(name="table", unknown=0.25)).train()
    x = torch.tensor([3.0, 2.0, 5.0, -1.0]).expand(4000, 3, 4)
    torch.manual_seed(0)
    vectors = encoder(x)
    kept = vectors[..., 4] == 1
    assert torch.equal(kept, kept[:, :1].expand(-1, 3))  # at all steps of a sequence alike
    assert torch.equal(vectors[..., 2] == 1, ~kept)
    assert 0.2 < 1 - float(kept[:, 0].double().mean()) < 0.3
    unknown = (vectors[..., 6:] == encoder.get_parameter("vectors.1.table.weight")[0]).all(-1)
    assert 0.2 < float(unknown.double().mean()) < 0.3
    assert bool((unknown[:, 0] & kept[:, 0]).any())  # each feature by itself
    assert bool((vectors[..., :2] == 0).all())
    assert bool((encoder.eval()(x)[..., 4] == 1).all())


def test_the_vector_of_unknown_categories_is_learnt() -> None:
    model = make_table_model().train()
    torch.manual_seed(0)
    model(draw_table(200, 3)).square().sum().backward()
    assert bool((model.get_parameter("encoder.vectors.1.table.weight").grad[0] != 0).all())  # type: ignore[index]


def test_an_encoder_that_does_not_fit_the_categories_is_refused() -> None:
    with pytest.raises(zoo.SpecError, match=r"encoder\.name: 'normaliser' does not fit, since these data have categor"):
        make_encoder(NormaliserConfig(name="normaliser"), SIGNATURE)
    with pytest.raises(zoo.SpecError, match=r"encoder\.name: 'table' is for numbers and these data are tokens"):
        make_encoder(TableEncoderConfig(name="table"), WORDS)
    with pytest.raises(zoo.SpecError, match=r"encoder\.size: is the width of embedded categories; leave it out"):
        make_encoder(TableEncoderConfig(name="table", categories="one_hot", size=3), SIGNATURE)
    many = zoo.Signature(features=2, categories=((), tuple(map(str, range(1024)))))
    with pytest.raises(zoo.SpecError, match=r"'one_hot' would make 1,025 numbers of feature \[1\]; use 'embedding'"):
        make_encoder(TableEncoderConfig(name="table", categories="one_hot"), many)
    assert isinstance(make_encoder(TableEncoderConfig(name="table"), NUMBERS), zoo.Normaliser)


# --- scales by group ------------------------------------------------------------------------------------------------


def test_each_group_has_its_own_scale() -> None:
    encoder = table_encoder(None, GROUPED)
    x = torch.tensor([[[5.0, 1.0, 2.0, 1.0]] * 2, [[23.0, 1.0, 0.0, 1.0]] * 2])
    vectors = encoder(x)
    assert vectors[0, 1, :2].tolist() == pytest.approx([(5 - 1) / 3, 1.0])  # the second group
    assert vectors[1, 1, :2].tolist() == [1.0, 1.0]  # an unknown group has the pooled scale


@pytest.mark.parametrize("horizon", [0, 3])
def test_a_prediction_has_the_scale_of_its_group(horizon: int) -> None:
    model = make_table_model(signature=GROUPED, horizon=horizon)
    x = draw_table(5, 4)
    x[:, :, 2] = torch.tensor([0, 1, 2, 12, 0])[:, None]
    with torch.inference_mode():
        y, scores = model.outputs(x)["y"], model(x)
    scores = scores.reshape(5, -1, 2)
    rows = [GROUPED.target_scale, *GROUPED.target_scales]
    for number, group in enumerate([0, 1, 2, 12, 0]):
        scale = rows[group]
        assert scale is not None
        expected = scores[number] * torch.tensor(scale.factor) + torch.tensor(scale.offset)
        assert torch.equal(y[number].reshape(-1, 2), expected)
    assert isinstance(model.readout, zoo.RescaleReadout)
    assert torch.allclose(model.readout.scores({"y": y}, model.groups(x)).reshape(5, -1, 2), scores, atol=1e-5)


def test_a_readout_by_group_needs_an_encoder_with_a_group() -> None:
    other = make_table_model(signature=GROUPED)
    plain = make_table_model()
    with pytest.raises(zoo.SpecError, match="readout: has scales by group, expected an encoder with a group"):
        zoo.Model(plain.encoder, plain.stack, "last", plain.head, other.readout)
