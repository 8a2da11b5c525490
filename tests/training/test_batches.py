"""Batches: every row once, sequences of similar length together, and padding without effect."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from tests.support.builders import DIRECTIONS, KINDS, make_stack
from zoo.nn.encoder import EmbeddingConfig, make_encoder
from zoo.nn.pooling import Pooling
from zoo.nn.readout import SoftmaxReadout
from zoo.training.batches import evaluation_batches, training_order

POOLINGS: tuple[Pooling | None, ...] = ("last", "mean", "max", "last_step", None)


def texts(lengths: list[int]) -> zoo.Split:
    """Return token sequences of the given lengths, each with its row number as the class."""
    x = torch.randint(1, 9, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(0))
    return zoo.Split(x, torch.arange(len(lengths)), torch.tensor(lengths))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=300), st.integers(1, 7), st.integers(0, 5))
def test_every_row_is_in_the_order_once(lengths: list[int], size: int, seed: int) -> None:
    split = texts(lengths)
    order = training_order(split, size, torch.Generator().manual_seed(seed))
    assert order.sort().values.tolist() == list(range(len(lengths)))
    assert torch.equal(order, training_order(split, size, torch.Generator().manual_seed(seed)))
    evaluated = torch.cat([batch.y for batch, _ in evaluation_batches(split, size)])
    assert evaluated.sort().values.tolist() == list(range(len(lengths)))


def test_batches_have_little_padding_and_a_random_order() -> None:
    lengths = torch.randint(1, 60, (4000,), generator=torch.Generator().manual_seed(3))
    split = texts(lengths.tolist())
    order = training_order(split, 32, torch.Generator().manual_seed(0))
    batches = [split.take(rows) for rows in order.split(32)]
    padding = sum(batch.x.numel() - int(batch.lengths.sum()) for batch in batches if batch.lengths is not None)
    assert padding < 0.05 * int(lengths.sum())  # in random batches it is nearly as much as the sequences
    means = torch.tensor([float(batch.lengths.float().mean()) for batch in batches if batch.lengths is not None])
    assert (means.diff() > 0).float().mean() == pytest.approx(0.5, abs=0.15)


def test_equal_lengths_are_shuffled_as_a_whole() -> None:
    split = zoo.Split(torch.zeros(50, 3, 1), torch.zeros(50, dtype=torch.int64))
    order = training_order(split, 8, torch.Generator().manual_seed(7))
    assert torch.equal(order, torch.randperm(50, generator=torch.Generator().manual_seed(7)))


def test_a_batch_is_as_long_as_its_longest_sequence() -> None:
    split = texts([5, 2, 3])
    batch = split.take(torch.tensor([1, 2]))
    assert batch.x.shape == (2, 3)
    by_step = zoo.Split(split.x, split.x, split.lengths).take(torch.tensor([1]))
    assert by_step.x.shape == by_step.y.shape == (1, 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("implementation", ["auto", "cell"])
def test_a_padded_batch_gives_the_scores_of_each_sequence_alone(kind: str, implementation: str) -> None:
    """In float64, up to a few roundings of values below one, whatever the padding contains."""
    split = texts([4, 1, 6, 3])
    assert split.lengths is not None
    for direction, pooling in product(DIRECTIONS, POOLINGS):
        signature = zoo.Signature(vocabulary=tuple("012345678"), tokenizer="words", lengths=True)
        torch.manual_seed(1)
        encoder = make_encoder(EmbeddingConfig(name="embedding", size=4), signature)
        stack = make_stack(kind, input_size=4, direction=direction, num_layers=2, implementation=implementation)
        head = torch.nn.Linear(stack.output_size, 3)
        model = zoo.Model(encoder, stack, pooling, head, SoftmaxReadout(), takes_lengths=True).double().eval()
        with torch.inference_mode():
            together = model(split.x, split.lengths)
            noisy = split.x.where(torch.arange(6) < split.lengths[:, None], 8)
            assert torch.equal(model(noisy, split.lengths), together)
            for row, length in enumerate(split.lengths.tolist()):
                alone = model(split.x[row : row + 1, :length])[0]
                actual = together[row] if pooling is not None else together[row, :length]
                torch.testing.assert_close(actual, alone, rtol=0, atol=100 * torch.finfo(torch.float64).eps)
                if pooling is None:
                    assert not together[row, length:].any()
