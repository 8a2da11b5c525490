"""The proof of a streaming file: chunks of several sizes, with the states carried over, against whole sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.errors import ExportError
from zoo.nn.model import Model
from zoo.parity import Array
from zoo.progress import Progress
from zoo.proof.cases import Case, draw_cases
from zoo.proof.expectations import Expectations
from zoo.proof.observed import repeatability
from zoo.proof.prove import FileOutputs, FileProperties, Mode, RunFile, prove_against
from zoo.runtime.session import OnnxSession
from zoo.runtime.streaming import OnnxStream

STEPS = 200
SHAPES = ((1, STEPS), (5, STEPS))
"""(batch, time)."""
CHUNKS = (1, 7, STEPS)
"""Steps per chunk: one, a number that does not divide the sequence, and all."""


def refuse_unless_streamable(model: Model) -> None:
    """Raise an error for a model whose outputs cannot be computed chunk by chunk.

    Raises:
        ExportError: the reason and the alternatives.
    """
    backward = next((layer for layer in model.layers() if layer.direction != "forward"), None)
    if backward is not None:
        reason = f"a {backward.direction} model reads from the end of a sequence, which a stream does not have yet"
        pieces = "pieces of the stream that overlap"
        forward = "an architecture that reads forward" if backward.fixed_direction else "architecture.direction=forward"
        instead = f"{forward}, which changes its accuracy"
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
    progress: Progress,
) -> dict[str, Any]:
    """Compare the streaming file at ``path`` with ``model``; arguments and report are those of `zoo.proof.prove.prove`.

    Streams have `STEPS` steps, since the exact result of a stream of 10,000 steps takes ten seconds; a test has one.
    """
    expectations = Expectations(model, chunk_cases(model, sample), progress)
    properties, run_file, steps = FileProperties.read(path), run_in_chunks(by_step=model.by_step), sample.x.shape[1]
    return prove_against(expectations, path, properties, providers, file_faults, run_file, data_steps=steps)


def chunk_cases(model: Model, sample: Split) -> list[Case]:
    """Return the cases of a file that takes chunks: each sequence at each chunk size.

    The data's own number of steps is among the shapes, where it is smaller than `STEPS`, since a file may pass up to
    that number only.
    """
    own = sample.x.shape[1]
    shapes = (*SHAPES, (3, own)) if own < STEPS else SHAPES
    drawn = list(draw_cases(sample.x.numpy(), model.encoder.tokens, shapes=shapes))
    sizes = {case.time: dict.fromkeys(min(chunk, case.time) for chunk in CHUNKS) for case in drawn}
    return [replace(case, chunk=chunk) for case in drawn for chunk in sizes[case.time]]


def run_in_chunks(*, by_step: bool) -> RunFile:
    """Return a function that runs a file on the chunks of each case; ``by_step`` is that of the model."""

    def run_file(path: Path, mode: Mode, cases: Sequence[Case]) -> FileOutputs:
        session = OnnxSession(path, mode.provider, strict=mode.strict)
        stream = OnnxStream(session)
        outputs = [_run_stream(stream, case, by_step=by_step) for case in cases]
        return FileOutputs(outputs, session.placement(), repeatability(session, cases[0].x))

    return run_file


def _run_stream(stream: OnnxStream, case: Case, *, by_step: bool) -> Mapping[str, Array]:
    """Run a case chunk by chunk and return the outputs of all steps, or those after the last step."""
    assert case.chunk is not None
    stream.reset()
    chunks = [case.x[:, start : start + case.chunk] for start in range(0, case.time, case.chunk)]
    pieces = [stream.push(chunk, allow_nonfinite=True) for chunk in chunks]
    if not by_step:
        return pieces[-1]
    return {name: np.concatenate([piece[name] for piece in pieces], 1) for name in pieces[0]}
