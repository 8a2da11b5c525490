"""The disturbed arithmetic, operation by operation: what rounds moves, what moves or selects numbers does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.proof.disturbed import DisturbedArithmetic
from zoo.proof.module_call import exact_arithmetic

ROUNDOFF = 2.0**-24
Operation = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Function of x (3, 4, 6), a signal (2, 3, 16) and images (2, 3, 8, 8)."""
INDEX = torch.tensor([2, 0])
LENGTHS = torch.tensor([4, 2, 3])


def _ones(*shape: int) -> Tensor:
    return torch.ones(shape, dtype=torch.float64) / 2


ROUNDING: dict[str, Operation] = {
    "conv1d": lambda x, s, i: F.conv1d(s, _ones(4, 3, 3), padding=1),
    "conv2d": lambda x, s, i: F.conv2d(i, _ones(4, 3, 3, 3), stride=2),
    "conv_transpose1d": lambda x, s, i: F.conv_transpose1d(s, _ones(3, 4, 3)),
    "linear": lambda x, s, i: F.linear(x, _ones(5, 6), _ones(5)),
    "bmm": lambda x, s, i: x @ x.mT,
    "baddbmm": lambda x, s, i: torch.baddbmm(_ones(3, 4, 4), x, x.mT),
    "einsum": lambda x, s, i: torch.einsum("bti,bsi->bts", x, x),
    "attention": lambda x, s, i: F.scaled_dot_product_attention(x, x, x),
    "multi-head attention": lambda x, s, i: nn.MultiheadAttention(6, 2, batch_first=True).eval()(x, x, x)[0],
    "layer_norm": lambda x, s, i: F.layer_norm(x, (6,), _ones(6), _ones(6)),
    "batch_norm": lambda x, s, i: nn.BatchNorm1d(3).eval()(s),
    "group_norm": lambda x, s, i: F.group_norm(i, 3),
    "instance_norm": lambda x, s, i: F.instance_norm(s),
    "bilinear": lambda x, s, i: F.interpolate(i, scale_factor=1.7, mode="bilinear"),
    "linear interpolation": lambda x, s, i: F.interpolate(s, scale_factor=1.7, mode="linear"),
    "avg_pool2d": lambda x, s, i: F.avg_pool2d(i, 3),
    "sum": lambda x, s, i: x.sum(1),
    "mean": lambda x, s, i: x.mean(1),
    "var": lambda x, s, i: x.var(1),
    "cumsum": lambda x, s, i: x.cumsum(1),
    "logsumexp": lambda x, s, i: x.logsumexp(1),
    "norm": lambda x, s, i: x.norm(dim=1),
    "softmax": lambda x, s, i: x.softmax(1),
    "index_add": lambda x, s, i: x.index_add(0, torch.tensor([0, 0, 1]), x),
    "accumulating index_put": lambda x, s, i: x.index_put((torch.tensor([0]),), x[1:2], accumulate=True),
    "fft": lambda x, s, i: torch.fft.rfft(s).real,
    "inverse fft": lambda x, s, i: torch.fft.irfft(torch.fft.rfft(s)),
    "lerp": lambda x, s, i: torch.lerp(x, x.flip(0), 0.3),
    "mv": lambda x, s, i: x[0] @ x[1, 1],
}
EXACT: dict[str, Operation] = {
    "sort": lambda x, s, i: x.sort(1)[0],
    "topk": lambda x, s, i: x.topk(2, 1)[0],
    "gather": lambda x, s, i: x.gather(1, x.argsort(1)),
    "scatter": lambda x, s, i: x.scatter(0, torch.zeros(1, 4, 6, dtype=torch.int64), x),
    "index": lambda x, s, i: x[INDEX],
    "index_put": lambda x, s, i: x.index_put((INDEX,), x[:2]),
    "boolean index": lambda x, s, i: x[x > 0],
    "index_select": lambda x, s, i: x.index_select(1, INDEX),
    "nearest": lambda x, s, i: F.interpolate(i, scale_factor=2, mode="nearest"),
    "nearest-exact": lambda x, s, i: F.interpolate(s, scale_factor=2, mode="nearest-exact"),
    "pad": lambda x, s, i: F.pad(x, (1, 2)),
    "reflect": lambda x, s, i: F.pad(s, (1, 2), mode="reflect"),
    "circular": lambda x, s, i: F.pad(s, (1, 2), mode="circular"),
    "roll": lambda x, s, i: x.roll(1, 1),
    "flip": lambda x, s, i: x.flip(1),
    "cat": lambda x, s, i: torch.cat([x, x]),
    "where": lambda x, s, i: torch.where(x > 0, x, 0.0),
    "masked_fill": lambda x, s, i: x.masked_fill(x > 0, -1e9),
    "max_pool1d": lambda x, s, i: F.max_pool1d(s, 2),
    "max_pool2d": lambda x, s, i: F.max_pool2d(i, 2),
    "maximum": lambda x, s, i: torch.maximum(x, x.flip(0)),
    "clamp": lambda x, s, i: x.clamp(-1, 1),
    "relu": lambda x, s, i: x.relu(),
    "round": lambda x, s, i: x.round(),
    "triu": lambda x, s, i: x.triu(),
    "repeat_interleave": lambda x, s, i: x.repeat_interleave(torch.tensor([1, 2, 0, 1]), 1),
    "embedding": lambda x, s, i: F.embedding(INDEX, x[0]),
    "one_hot": lambda x, s, i: F.one_hot(INDEX).double(),
    "unfold": lambda x, s, i: F.unfold(i, 2),
    "boolean operations": lambda x, s, i: ((x > 0) & (x < 1) | ~(x > 2)).double(),
    "searchsorted": lambda x, s, i: torch.searchsorted(INDEX.sort()[0].double(), x).double(),
    "dropout in inference": lambda x, s, i: F.dropout(x, 0.5, training=False),
    "packing": lambda x, s, i: pad_packed_sequence(pack_padded_sequence(x, LENGTHS, True, False))[0],
    "transpose": lambda x, s, i: x.transpose(1, 2).contiguous(),
}


def difference(operation: Operation, one_sided: int = 0) -> float:
    """The largest move, in roundings of the largest number."""
    generator = torch.Generator().manual_seed(0)
    given = [
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((3, 4, 6), (2, 3, 16), (2, 3, 8, 8))
    ]
    with exact_arithmetic(), torch.random.fork_rng():
        torch.manual_seed(0)
        exact = operation(*given)
    with exact_arithmetic(), torch.random.fork_rng():
        parameters = DisturbedArithmetic("float32", 1, batch=None, one_sided=one_sided)
        torch.manual_seed(0)
        with parameters:
            disturbed = operation(*given)
    return float((disturbed - exact).abs().max() / exact.abs().max()) / ROUNDOFF


@pytest.mark.parametrize("name", ROUNDING)
def test_what_rounds_moves(name: str) -> None:
    assert 0.1 < difference(ROUNDING[name]) < 50


@pytest.mark.parametrize("name", EXACT)
def test_what_moves_or_selects_does_not(name: str) -> None:
    assert difference(EXACT[name]) == 0
    assert difference(EXACT[name], one_sided=1) == 0


def test_a_normalisation_shows_the_cancellation_inside() -> None:
    """The spread is a thousandth of the mean, so the mean's rounding moves the result by a thousand roundings."""
    assert difference(lambda x, s, i: F.layer_norm(x + 1000, (6,))) > 100


def test_attention_amplifies_the_rounding_of_its_scores() -> None:
    assert difference(lambda x, s, i: F.scaled_dot_product_attention(x + 30, x + 30, x)) > 10


@pytest.mark.parametrize(
    ("operation", "terms"),
    [
        (lambda x, s, i: F.conv2d(torch.ones_like(i), torch.ones_like(i[:, :, :3, :3])), 27),
        (lambda x, s, i: torch.ones_like(x) @ torch.ones_like(x).mT, 6),
        (lambda x, s, i: torch.ones_like(i).sum((1, 2)), 24),
    ],
)
def test_equal_results_err_alike_by_the_number_of_their_terms(operation: Operation, terms: int) -> None:
    """Pairwise summation of n terms has 1 + log2 n roundings."""
    roundings = 1 + torch.log2(torch.tensor(float(terms))).item()
    assert difference(operation, one_sided=1) == pytest.approx(roundings, rel=1e-3)
