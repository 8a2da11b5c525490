"""The inputs of a proof: of every shape, with lengths and states, from the data and from far beyond them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from zoo.nn.model import Model
from zoo.parity import Array

SHAPES = ((1, 1), (1, 7), (3, 28), (5, 50), (2, 200), (64, 28))
"""(batch, time): one sequence, one step, odd sizes, longer than any training sequence, and a whole batch."""

Inputs = Literal["data", "wide"]
LengthsKind = Literal["none", "equal", "mixed", "unsorted", "short"]
"""How the lengths of a batch are: not told; all as long as the batch; the longest first, and the only full one; the
longest last; every one shorter than the batch, so that no sequence fills it."""


@dataclass(frozen=True)
class Case:
    """One input of the proof."""

    batch: int
    time: int
    inputs: Inputs
    x: Array
    """(batch, time, features) float32, or (batch, time) tokens"""
    lengths: Array | None = None
    """(batch,) int64, where the model takes them; those of a proof are mixed, the first one full, and not sorted. The
    padding holds NaN, so that whatever reads it shows; where steps are tokens it holds some of them."""
    states: Mapping[str, Array] | None = None
    """What the layers start with, (batch, n) by name, where the file takes states; empty for what they start with by
    themselves."""
    chunk: int | None = None
    """Steps that are given at a time; None where the file takes whole sequences."""

    def __str__(self) -> str:
        mixed = "" if self.lengths is None else ", mixed lengths"
        chunks = "" if self.chunk is None else f" in chunks of {self.chunk}"
        states = ", random states" if self.states else ""
        return f"batch {self.batch}, {self.time} steps{chunks}{mixed}, {self.inputs} inputs{states}"

    def to_dict(self) -> dict[str, Any]:
        """What a report says of it."""
        chunk = {} if self.chunk is None else {"chunk": self.chunk}
        states = {} if self.states is None else {"states": "random" if self.states else "initial"}
        return {"batch": self.batch, "time": self.time, **chunk, "inputs": self.inputs, **states}


def draw_cases(
    sample: Array, tokens: int = 0, *, with_lengths: bool = False, shapes: Sequence[tuple[int, int]] = SHAPES
) -> Iterator[Case]:
    """Inputs of every shape, from the data's own distribution and from a wide one.

    Args:
        sample: (sequences, time, features) numbers from the data, or (sequences, time) tokens.
        tokens: how many the model knows; 0 where it takes numbers.
        with_lengths: whether it takes lengths.
        shapes: (batch, time) of the inputs.
    """
    generator = np.random.default_rng(0)
    low, high = float(sample.min()), float(sample.max())
    spread = (high - low) or 1.0
    for batch, steps in shapes:
        # Sequences longer than the data's are several of them, one after the other.
        pieces = -(-steps // sample.shape[1])
        rows = generator.integers(len(sample), size=(batch, pieces))
        own = sample[rows].reshape(batch, -1, *sample.shape[2:])[:, :steps]
        if tokens:
            wide = generator.integers(tokens, size=own.shape)
        else:
            own = own.astype(np.float32)
            wide = generator.uniform(low - spread, high + spread, own.shape).astype(np.float32)
        lengths = generator.integers(1, steps + 1, size=batch) if with_lengths else None
        if lengths is not None:
            lengths[0] = steps
            if not tokens:
                fill_padding(own, lengths)
                fill_padding(wide, lengths)
        yield Case(batch, steps, "data", np.ascontiguousarray(own), lengths)
        yield Case(batch, steps, "wide", wide, lengths)


def draw_lengths(kind: LengthsKind, batch: int, steps: int) -> Array | None:
    """Lengths of a kind, (batch,) int64; None where none are told."""
    if kind == "none":
        return None
    if kind == "equal":
        return np.full(batch, steps)
    lengths = np.sort(np.random.default_rng(0).integers(1, steps, size=batch))
    if kind == "unsorted":
        lengths[-1] = steps
    if kind == "mixed":
        lengths = lengths[::-1].copy()
        lengths[0] = steps
    return lengths


def are_possible(kind: LengthsKind, batch: int, steps: int) -> bool:
    """Whether there are lengths of a kind for such a batch, which are no other kind's too."""
    return kind in ("none", "equal") or (steps > 1 and (batch > 1 or kind == "short"))


def fill_padding(x: Array, lengths: Array) -> None:
    """Put NaN beyond each length of x (batch, time, features), in place, so that whatever reads it shows."""
    x[np.arange(x.shape[1]) >= lengths[:, None]] = np.nan


def with_states(model: Model, cases: Sequence[Case]) -> Iterator[Case]:
    """The same for a file that takes states: each input with none given, those from the data with random ones too."""
    generator = np.random.default_rng(0)
    for case in cases:
        plain = replace(case, states={})
        yield plain
        if case.inputs == "data":
            yield replace(case, states=draw_states(model, plain, generator))


def draw_states(model: Model, case: Case, generator: np.random.Generator) -> dict[str, Array]:
    """Numbers as large as the model's states get: those after the case, in another order and with noise as large as
    their own spread; what float32 cannot hold is the largest that it can. Where they are integers, small counts."""
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
    """What torch gives in float32."""
    lengths = None if case.lengths is None else torch.from_numpy(case.lengths)
    states = None if case.states is None else {name: torch.from_numpy(one) for name, one in case.states.items()}
    with torch.inference_mode():
        found = model.outputs(torch.from_numpy(case.x), lengths, states)
    return {name: value.numpy() for name, value in found.items()}
