"""The proof of a streaming file: chunks of several sizes, with the states carried over, against the whole sequence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.errors import ExportError
from zoo.nn.model import Model
from zoo.parity import Array
from zoo.proof.cases import Case, draw_cases
from zoo.proof.expectations import Expectations
from zoo.proof.observed import repeatability
from zoo.proof.prove import Answer, Answers, FileProperties, Mode, prove_against
from zoo.runtime.session import OnnxSession
from zoo.runtime.streaming import OnnxStream

STEPS = 200
SHAPES = ((1, STEPS), (5, STEPS))
"""(batch, time)."""
CHUNKS = (1, 7, STEPS)
"""Steps at a time: as a user types, in pieces that do not divide the whole, and at once."""


def refuse_unless_streamable(model: Model) -> None:
    """Raise an `ExportError`, with what else to do, for a model whose answers cannot be given chunk by chunk."""
    backward = next((layer for layer in model.layers() if layer.direction != "forward"), None)
    if backward is not None:
        reason = f"a {backward.direction} model reads from the end of a sequence, which a stream does not have yet"
        pieces = "pieces of the stream that overlap"
        forward = "an architecture that reads forward" if backward.fixed_direction else "architecture.direction=forward"
        instead = f"{forward}, whose accuracy is another"
    elif model.pooling in ("mean", "max"):
        reason = f"pooling {model.pooling!r} needs every step of a sequence, and a stream keeps none of them"
        pieces = "pieces of the stream"
        instead = "architecture.pooling=last, or for a task that answers at each step"
    else:
        return
    raise ExportError(
        f"--streaming: {reason}; leave --streaming out and give the file whole sequences, or {pieces}, "
        f"or build a model with {instead}"
    )


def prove_streaming(
    model: Model,
    path: Path,
    sample: Split,
    providers: Sequence[str],
    file_faults: Sequence[str],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Compare the streaming file at ``path`` with ``model``; arguments and report are those of `zoo.proof.prove.prove`.

    Streams are short here, since the exact result of a single one of 10,000 steps takes ten seconds; a test has one.
    """
    expectations, answer = Expectations(model, chunk_cases(model, sample), progress), in_chunks(by_step=model.by_step)
    steps = sample.x.shape[1]
    return prove_against(
        expectations, path, FileProperties.read(path), providers, file_faults, answer, usual_steps=steps
    )


def chunk_cases(model: Model, sample: Split) -> list[Case]:
    """The inputs of a proof of a file for chunks: of many steps, and of the data's own number where that is smaller, up
    to which the file may have passed alone."""
    own = sample.x.shape[1]
    shapes = (*SHAPES, (3, own)) if own < STEPS else SHAPES
    drawn = list(draw_cases(sample.x.numpy(), model.encoder.tokens, shapes=shapes))
    sizes = {case.time: dict.fromkeys(min(chunk, case.time) for chunk in CHUNKS) for case in drawn}
    return [replace(case, chunk=chunk) for case in drawn for chunk in sizes[case.time]]


def in_chunks(*, by_step: bool) -> Answer:
    """Runs a file for chunks on the chunks of each case; ``by_step`` as of its model."""

    def answer(path: Path, mode: Mode, cases: Sequence[Case]) -> Answers:
        session = OnnxSession(path, mode.provider, strict=mode.strict)
        stream = OnnxStream(session)
        outputs = [_streamed(stream, case, by_step=by_step) for case in cases]
        return Answers(outputs, session.placement(), repeatability(session, cases[0].x))

    return answer


def _streamed(stream: OnnxStream, case: Case, *, by_step: bool) -> Mapping[str, Array]:
    """A whole case chunk by chunk: the answers of all steps, or those after the last one."""
    assert case.chunk is not None
    stream.reset()
    chunks = [case.x[:, start : start + case.chunk] for start in range(0, case.time, case.chunk)]
    pieces = [stream.push(chunk, allow_nonfinite=True) for chunk in chunks]
    if not by_step:
        return pieces[-1]
    return {name: np.concatenate([piece[name] for piece in pieces], 1) for name in pieces[0]}
