"""Check that an exported file agrees with the oracle, at a few small shapes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import zoo
from tests.support.models import draw
from zoo.parity import Array, judge
from zoo.proof.cases import draw_cases
from zoo.proof.domain import Domain
from zoo.proof.oracle import Oracle
from zoo.runtime.session import OnnxSession

SHAPES = ((1, 1), (5, 12))
"""Batch and number of steps."""


def assert_agrees(
    model: zoo.Model, path: Path, sample: Array | None = None, shapes: Sequence[tuple[int, int]] = SHAPES
) -> None:
    """Check the outputs of a file by the rule of parity, with mixed lengths where the model takes them.

    Args:
        model: the exported model.
        path: its file.
        sample: data to draw inputs from; `draw`'s grey values if None.
        shapes: batch and number of steps of the inputs.
    """
    oracle, session = Oracle(model), OnnxSession(path, threads=1)
    data = draw(20, 8) if sample is None else sample
    cases = list(draw_cases(data, Domain.of(model), with_lengths=model.takes_lengths, shapes=shapes))
    assert len(cases) == 2 * len(shapes)
    for case in cases:
        actual = session.run(case.x, case.lengths)
        for name, verdict in judge(oracle.expect(case.x, lengths=case.lengths), actual).items():
            assert verdict.status == "passed", f"{name}: {verdict.reason} ({case})"
