"""Inputs of a proof: every shape, with lengths and states, drawn from the data and from a range far wider."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from zoo.nn.model import Model
from zoo.parity import Array
from zoo.proof.domain import NUMBERS, Domain
from zoo.proof.shapes import different_rows

SHAPES: tuple[tuple[int, int], ...] = ((1, 1), (1, 7), (3, 28), (5, 50), (2, 200), (64, 28))
"""(batch, time): one sequence, one step, odd sizes, longer than any training sequence, and a large batch."""

Inputs = Literal["data", "wide", "extreme", "vocabulary"]
"""Kind of the numbers or tokens of a case.

- ``data``: sequences of the data.
- ``wide``: uniform over three times the data's range; tokens and ids of categories uniform over all of them.
- ``extreme``: numbers, not ids of categories, up to ten times the data's largest magnitude. Such a case may fail a
  file; where no verdict on it is possible, it is left out, since it is far outside the use of the model.
- ``vocabulary``: sequences in which, over all such cases, every token, or every id of every feature, stands at least
  once.
"""
LengthsKind = Literal["none", "equal", "mixed", "unsorted", "short", "ones"]
"""Kind of lengths in a batch.

- ``none``: no lengths are given.
- ``equal``: every sequence is full.
- ``mixed``: in descending order; only the first sequence is full.
- ``unsorted``: in ascending order; only the last sequence is full.
- ``short``: every sequence is shorter than the batch.
- ``ones``: every sequence has one step.
"""


class Extent(NamedTuple):
    """How many inputs of which shapes a proof draws beside the listed ones."""

    seed: int | None = None
    """Seed of the drawn shapes and inputs. None: the first 8 bytes of the file's SHA-256, so that the shapes cannot be
    foreseen before the file exists."""
    thorough: bool = False
    """Whether ten times as many shapes are drawn."""
    batches: tuple[int, ...] = ()
    """Further batch sizes in which the model is used, such as that of its training."""

    def seeded(self, path: Path) -> Extent:
        """Return the same extent with a seed: its own, else that of the file at ``path``; 0 for a file that is gone."""
        if self.seed is not None:
            return self
        content = path.read_bytes() if path.is_file() else b""
        return self._replace(seed=int.from_bytes(hashlib.sha256(content).digest()[:8], "big"))


USUAL = Extent()
"""The extent of a proof where none is given."""


@dataclass(frozen=True)
class Case:
    """One input of a proof."""

    batch: int
    time: int
    inputs: Inputs
    x: Array
    """(batch, time, features) float32, or (batch, time) integer tokens."""
    lengths: Array | None = None
    """(batch,) int64; None where the model takes no lengths.

    The padding is NaN, so that an output that depends on it is NaN too. That of tokens and of categories is random ids.
    """
    states: Mapping[str, Array] | None = None
    """Initial states by name, (batch, n); empty for the model's own initial states; None where the file takes none."""
    chunk: int | None = None
    """Steps per chunk, the most of any chunk; None where the file takes whole sequences."""
    turns: tuple[int, ...] = ()
    """Steps of the chunks, taken in turn until the sequence ends; empty where all chunks have ``chunk`` steps."""
    kind: LengthsKind | None = None
    """Kind of the lengths of a drawn shape."""
    drawn: bool = False
    """Whether shape and inputs follow from the seed of the proof's `Extent`."""

    def __str__(self) -> str:
        lengths = "" if self.lengths is None else f", {self.kind or 'mixed'} lengths"
        chunks = "" if self.chunk is None else f" in chunks of {' and '.join(map(str, self.turns or (self.chunk,)))}"
        states = ", random states" if self.states else ""
        return f"batch {self.batch}, {self.time} steps{chunks}{lengths}, {self.inputs} inputs{states}"

    def to_dict(self) -> dict[str, Any]:
        """Return the case as it appears in a report, without its arrays."""
        chunk = {} if self.chunk is None else {"chunk": self.chunk}
        turns = {"turns": list(self.turns)} if self.turns else {}
        states = {} if self.states is None else {"states": "random" if self.states else "initial"}
        drawn = {"drawn": True} if self.drawn else {}
        kind = {} if self.kind is None else {"lengths": self.kind}
        return {
            "batch": self.batch,
            "time": self.time,
            **chunk,
            **turns,
            "inputs": self.inputs,
            **kind,
            **states,
            **drawn,
        }

    @property
    def alike(self) -> tuple[object, ...] | None:
        """Shape, lengths and chunks; None with random states, on which an output may depend instead of the input."""
        lengths = None if self.lengths is None else self.lengths.tobytes()
        return None if self.states else (self.batch, self.time, self.chunk, self.turns, lengths)

    def repeated(self, order: Array) -> Case:
        """Return a case with these rows, by their indices; equal rows are equal in every byte."""
        lengths = None if self.lengths is None else self.lengths[order]
        states = None if self.states is None else {name: state[order] for name, state in self.states.items()}
        return replace(self, batch=len(order), x=self.x[order], lengths=lengths, states=states)


class Rows(NamedTuple):
    """The different rows of a case, and the order in which the case repeats them."""

    case: Case
    order: Array
    """(batch,) indices of rows."""

    def whole(self, model: Model | None = None) -> Iterator[Case]:
        """Yield the whole case, and with random states as well where a model of a file with states is given."""
        for case in [self.case] if model is None else with_states(model, [self.case]):
            yield case.repeated(self.order)


def draw_cases(
    sample: Array,
    domain: Domain = NUMBERS,
    *,
    with_lengths: bool = False,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    least: int = 1,
) -> Iterator[Case]:
    """Yield the cases of `listed_rows`, whole."""
    for rows in listed_rows(sample, domain, with_lengths=with_lengths, shapes=shapes, least=least):
        yield from rows.whole()


def listed_rows(
    sample: Array,
    domain: Domain = NUMBERS,
    *,
    with_lengths: bool = False,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    least: int = 1,
) -> Iterator[Rows]:
    """Draw two cases for each shape: sequences from the data, and uniform noise over three times the data's range.

    Tokens and categories have no range; the second case draws them uniformly from all. The rows of a large batch
    repeat a few, see `zoo.proof.shapes.different_rows`, and batches of the same time share them.

    Args:
        sample: (sequences, time, features) numbers from the data, or (sequences, time) tokens.
        domain: the domain of the input.
        with_lengths: whether the model takes lengths. They are drawn from 1 to the full time; the first is full.
        shapes: (batch, time) of the inputs.
        least: fewest different rows of a batch that has so many; 2 with lengths.
    """
    generator = np.random.default_rng(0)
    drawn: dict[int, tuple[Array, Array, Array | None]] = {}
    for batch, steps in shapes:
        rows = different_rows(batch, steps, least=max(least, 2 if with_lengths else 1))
        if steps not in drawn or len(drawn[steps][0]) < rows:
            own = data_rows(sample, domain, rows, steps, generator)
            wide = wide_rows(sample, domain, rows, steps, generator)
            lengths = generator.integers(1, steps + 1, size=rows) if with_lengths else None
            if lengths is not None:
                lengths[0] = steps
                fill_padding(own, lengths, domain)
                fill_padding(wide, lengths, domain)
            drawn[steps] = own, wide, lengths
        order = np.concatenate([np.arange(rows), generator.integers(rows, size=batch - rows)])
        own, wide, lengths = drawn[steps]
        yield Rows(Case(rows, steps, "data", own[:rows], None if lengths is None else lengths[:rows]), order)
        yield Rows(Case(rows, steps, "wide", wide[:rows], None if lengths is None else lengths[:rows]), order)


def data_rows(sample: Array, domain: Domain, rows: int, steps: int, generator: np.random.Generator) -> Array:
    """Draw sequences of the data, (rows, steps, ...); longer ones are several, one after the other."""
    pieces = -(-steps // sample.shape[1])
    chosen = generator.integers(len(sample), size=(rows, pieces))
    own = sample[chosen].reshape(rows, -1, *sample.shape[2:])[:, :steps]
    own = np.ascontiguousarray(own, np.float32 if sample.ndim == 3 else None)
    domain.settle(own)
    return own


def wide_rows(sample: Array, domain: Domain, rows: int, steps: int, generator: np.random.Generator) -> Array:
    """Draw uniform noise over three times the data's range, (rows, steps, ...), or any tokens and ids of categories."""
    shape = (rows, steps, *sample.shape[2:])
    if domain.tokens:
        return generator.integers(domain.tokens, size=shape)
    numbers = domain.numbers(sample) if domain.has_numbers else np.zeros(1)
    low, high = float(numbers.min()), float(numbers.max())
    spread = (high - low) or 1.0
    wide = generator.uniform(low - spread, high + spread, shape).astype(np.float32)
    domain.draw_ids(wide, generator)
    return wide


def draw_lengths(
    kind: LengthsKind, batch: int, steps: int, generator: np.random.Generator | None = None
) -> Array | None:
    """Draw lengths of a kind, (batch,) int64; None for the kind ``none``.

    Args:
        kind: the kind, which must be possible; see `are_possible`.
        batch: number of sequences.
        steps: steps of the batch.
        generator: source of the lengths; always the same lengths when None.
    """
    if kind == "none":
        return None
    if kind in ("equal", "ones"):
        return np.full(batch, steps if kind == "equal" else 1)
    generator = generator or np.random.default_rng(0)
    lengths = np.sort(generator.integers(1, steps, size=batch))
    if kind == "unsorted":
        lengths[-1] = steps
    if kind == "mixed":
        lengths = lengths[::-1].copy()
        lengths[0] = steps
    return lengths


def are_possible(kind: LengthsKind, batch: int, steps: int) -> bool:
    """Whether a batch of this shape has lengths of this kind that are not of another kind as well."""
    return kind in ("none", "equal") or (steps > 1 and (batch > 1 or kind in ("short", "ones")))


def fill_padding(x: Array, lengths: Array, domain: Domain = NUMBERS) -> None:
    """Write NaN beyond each length into the features of x that are numbers, in place; tokens and ids stay."""
    if domain.has_numbers:
        beyond = (np.arange(x.shape[1]) >= lengths[:, None])[..., None]
        domain.set_numbers(x, np.where(beyond, np.float32(np.nan), domain.numbers(x)))


def with_states(model: Model, cases: Sequence[Case]) -> Iterator[Case]:
    """Yield each case with the model's own initial states, and each case from the data with random states as well."""
    generator = np.random.default_rng(0)
    for case in cases:
        plain = replace(case, states={})
        yield plain
        if case.inputs == "data":
            yield replace(case, states=draw_states(model, plain, generator))


def draw_states(model: Model, case: Case, generator: np.random.Generator) -> dict[str, Array]:
    """Draw initial states of the magnitude that the model's own states reach.

    Floating states are the final states of the case, permuted, plus normal noise of the same standard deviation,
    clipped to the range of float32. Integer states are uniform from 0 to 9.
    """
    reached = torch_outputs(model, case)
    drawn = {}
    for place in model.state_places():
        own = reached[place.next_name]
        if own.dtype.kind == "f":
            most = np.finfo(own.dtype).max
            wide = np.nan_to_num(own.astype(np.float64), nan=0.0, posinf=most, neginf=-most)
            noise = generator.normal(0, float(wide.std()) or 1.0, own.shape)
            drawn[place.name] = (generator.permutation(wide) + noise).clip(-most, most).astype(own.dtype)
        else:
            drawn[place.name] = generator.integers(10, size=own.shape).astype(own.dtype)
    return drawn


def torch_outputs(model: Model, case: Case) -> dict[str, Array]:
    """Return the model's float32 outputs by name, as torch computes them."""
    lengths = None if case.lengths is None else torch.from_numpy(case.lengths)
    states = None if case.states is None else {name: torch.from_numpy(state) for name, state in case.states.items()}
    with torch.inference_mode():
        outputs = model.outputs(torch.from_numpy(case.x), lengths, states)
    return {name: value.numpy() for name, value in outputs.items()}
