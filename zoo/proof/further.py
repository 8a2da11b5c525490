"""Cases beside the listed ones: the data's own lengths and batches, drawn shapes, extremes, every token or category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from zoo.data.dataset import Split
from zoo.parity import Array
from zoo.proof.cases import (
    Case,
    Extent,
    Inputs,
    LengthsKind,
    Rows,
    are_possible,
    data_rows,
    draw_lengths,
    fill_padding,
    wide_rows,
)
from zoo.proof.domain import Domain
from zoo.proof.shapes import LARGEST_BATCH, MOST_ROWS, OwnLengths, Shape, different_rows, drawn_shapes, own_shapes
from zoo.runtime.model import BATCH

DRAWN_ROWS = 4
"""Most different sequences of a drawn batch."""
EXTREME = 10
"""Largest magnitude of extreme inputs, in units of the data's."""
VOCABULARY_STEPS = 4
"""Steps of the sequences that contain every token or id: few, since the effect of one on the outputs fades."""
GROUP_BATCHES = 16
"""Fewest batches of the sequences that contain every group: the budget of a batch follows from its largest output, so
that groups of similar scale share a batch."""
KINDS: tuple[LengthsKind, ...] = ("equal", "short", "unsorted", "mixed", "ones")
"""Kinds of lengths at the drawn shapes."""


def further_rows(
    sample: Split, domain: Domain, extent: Extent, *, with_lengths: bool, steps: int | None = None
) -> Iterator[Rows]:
    """Draw the cases beside the listed ones.

    Args:
        sample: sequences from the data.
        domain: the domain of the input.
        extent: what is drawn; without a seed that of 0.
        with_lengths: whether the file takes lengths.
        steps: the number of steps of every case, where the file takes no other.
    """
    drawer = _Drawer(sample, domain, extent.seed or 0, with_lengths=with_lengths)
    lengths = OwnLengths.of(sample) if steps is None else OwnLengths(steps, steps, steps)
    batches = tuple(dict.fromkeys((1, *extent.batches, BATCH)))
    yield from drawer.own(own_shapes(lengths, batches))
    shapes = drawn_shapes(lengths.longest, drawer.generator, thorough=extent.thorough)
    yield from drawer.drawn([(batch, time if steps is None else steps) for batch, time in shapes])
    if domain.tokens or domain.categories:
        yield from drawer.vocabulary(VOCABULARY_STEPS if steps is None else steps)


class _Drawer:
    """Source of rows from a seed.

    Args:
        sample: sequences from the data.
        domain: the domain of the input.
        seed: seed of everything that is drawn.
        with_lengths: whether the file takes lengths.
    """

    def __init__(self, sample: Split, domain: Domain, seed: int, *, with_lengths: bool) -> None:
        self.x, self.domain, self.with_lengths = sample.x.numpy(), domain, with_lengths
        self.lengths = None if sample.lengths is None else sample.lengths.numpy()
        self.generator = np.random.default_rng(seed)

    def own(self, shapes: list[Shape]) -> Iterator[Rows]:
        """Yield sequences of the data from their first step, with their own lengths, in these shapes.

        Shapes of the same time share their sequences.
        """
        drawn: dict[int, Case] = {}
        for batch, time in shapes:
            if time not in drawn:
                drawn[time] = self._own_case(time)
            rows = min(batch, drawn[time].batch)
            order = np.concatenate([np.arange(rows), self.generator.integers(rows, size=batch - rows)])
            yield Rows(drawn[time], order)

    def _own_case(self, time: int) -> Case:
        rows = min(different_rows(MOST_ROWS, time), len(self.x))
        chosen = self.generator.permutation(len(self.x))[:rows]
        pieces = -(-time // self.x.shape[1])
        x = np.concatenate([self.x[chosen]] * pieces, 1)[:, :time]
        x = np.ascontiguousarray(x, None if self.domain.tokens else np.float32)
        self.domain.settle(x)
        lengths = None
        if self.with_lengths:
            full = np.full(len(self.x), time) if self.lengths is None else self.lengths
            lengths = np.minimum(full[chosen], time).astype(np.int64)
        return self._case("data", x, lengths, None)

    def drawn(self, shapes: list[Shape]) -> Iterator[Rows]:
        """Yield a case for each shape; the kinds of inputs take turns, and so do those of lengths."""
        inputs: tuple[Inputs, ...] = ("data", "wide", "extreme") if self.domain.has_numbers else ("data", "wide")
        used: Counter[LengthsKind] = Counter()
        for number, (batch, time) in enumerate(shapes):
            rows, kind = different_rows(batch, time, DRAWN_ROWS, least=2 if self.with_lengths else 1), None
            if self.with_lengths:
                kind = min((kind for kind in KINDS if are_possible(kind, rows, time)), key=lambda kind: used[kind])
                used[kind] += 1
            x = self._inputs(inputs[number % len(inputs)], rows, time)
            lengths = None if kind is None else draw_lengths(kind, rows, time, self.generator)
            yield Rows(self._case(inputs[number % len(inputs)], x, lengths, kind), self._order(batch, rows, kind))

    def _inputs(self, inputs: Inputs, rows: int, time: int) -> Array:
        if inputs == "wide":
            return wide_rows(self.x, self.domain, rows, time, self.generator)
        x = data_rows(self.x, self.domain, rows, time, self.generator)
        if inputs == "extreme":
            self.domain.set_numbers(x, self._extreme(self.domain.numbers(x)))
        return x

    def _extreme(self, x: Array) -> Array:
        """Replace half of the numbers by ones of one to ten times the data's largest magnitude, of either sign.

        Each row has the largest itself at one place.
        """
        largest = EXTREME * (float(np.abs(self.domain.numbers(self.x)).max()) or 1.0)
        signs = self.generator.choice([-1.0, 1.0], size=x.shape)
        far = signs * largest * EXTREME ** self.generator.uniform(-1, 0, x.shape)
        x = np.where(self.generator.random(x.shape) < 0.5, far, x)
        flat = x.reshape(len(x), -1)
        places = self.generator.integers(flat.shape[1], size=len(x))
        flat[np.arange(len(x)), places] = largest * self.generator.choice([-1.0, 1.0], size=len(x))
        most = float(np.finfo(np.float32).max)
        return x.clip(-most, most).astype(np.float32)

    def _order(self, batch: int, rows: int, kind: LengthsKind | None) -> Array:
        """Return the order in which a batch repeats its rows, each at least once."""
        order = np.concatenate([np.arange(rows), self.generator.integers(rows, size=batch - rows)])
        if kind == "mixed":  # in descending order of length, as the rows are
            return np.sort(order)
        order = self.generator.permutation(order)
        if kind == "unsorted" and order[0] == rows - 1:  # the full row must not be the first
            other = int((order != rows - 1).argmax())
            order[[0, other]] = order[[other, 0]]
        return order

    def vocabulary(self, time: int) -> Iterator[Rows]:
        """Yield cases in which every token, or every id of every feature, stands at least once.

        No row is repeated.
        """
        rows, tokens = self.domain.rows_of_every_id(time), self.domain.tokens
        if tokens:
            missing = self.generator.integers(tokens, size=rows * time - tokens)
            x = self.generator.permutation(np.concatenate([np.arange(tokens), missing])).reshape(rows, time)
        else:
            x = data_rows(self.x, self.domain, rows, time, self.generator)
            self.domain.every_id(x, self.generator)
        size = LARGEST_BATCH if self.domain.group is None else min(LARGEST_BATCH, -(-rows // GROUP_BATCHES))
        for start in range(0, rows, size):
            part = np.ascontiguousarray(x[start : start + size])
            lengths = np.full(len(part), time) if self.with_lengths else None
            kind: LengthsKind | None = "equal" if self.with_lengths else None
            yield Rows(self._case("vocabulary", part, lengths, kind), np.arange(len(part)))

    def _case(self, inputs: Inputs, x: Array, lengths: Array | None, kind: LengthsKind | None) -> Case:
        if lengths is not None and self.domain.has_numbers:
            x = x.copy()
            fill_padding(x, lengths, self.domain)
        return replace(Case(len(x), x.shape[1], inputs, x, lengths), kind=kind, drawn=True)
