"""The proof of a streaming file: chunks of several sizes, with the states carried over, against whole sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.errors import ExportError
from zoo.nn.model import Model
from zoo.parity import Array
from zoo.progress import Progress
from zoo.proof.cases import USUAL, Case, Extent, data_rows, draw_cases
from zoo.proof.domain import Domain
from zoo.proof.expectations import Expectations
from zoo.proof.further import further_rows
from zoo.proof.observed import repeatability, repeated_case
from zoo.proof.prove import FileOutputs, FileProperties, Mode, RunFile, copies, prove_against
from zoo.proof.shapes import log_uniform
from zoo.runtime.session import OnnxSession
from zoo.runtime.streaming import OnnxStream

STEPS = 200
SHAPES = ((1, STEPS), (5, STEPS))
"""(batch, time)."""
CHUNKS = (1, 7, STEPS)
"""Steps per chunk: one, a number that does not divide the sequence, and all."""
SMALL_CHUNKS = (2, 3)
"""Further steps per chunk, beside the data's own number, for listed batches of the data."""
LONG = 4
"""One proof of so many has a stream of more than `STEPS` steps; a thorough one always."""
MOST_TURNS = 4
"""Most sizes that the chunks of one stream take in turn."""


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
    *,
    properties: FileProperties | None = None,
    extent: Extent = USUAL,
) -> dict[str, Any]:
    """Compare the streaming file at ``path`` with ``model``; arguments and report are those of `zoo.proof.prove.prove`.

    The listed streams have `STEPS` steps, since the exact result of a stream of 10,000 steps takes ten seconds; a test
    has one.
    """
    extent, properties = extent.seeded(path), properties or FileProperties.interface(path)
    expectations = Expectations(model, chunk_cases(model, sample, extent), progress)
    run_file, steps = run_in_chunks(by_step=model.by_step), sample.x.shape[1]
    report = prove_against(expectations, path, properties, providers, file_faults, run_file, data_steps=steps)
    return {**report, "seed": extent.seed, "thorough": extent.thorough}


def chunk_cases(model: Model, sample: Split, extent: Extent = USUAL) -> list[Case]:
    """Return the cases of a file that takes chunks: listed streams at each listed chunk size, and drawn ones.

    The data's own number of steps is among the shapes, since a file may pass up to that number only. Batches of the
    data also come in chunks of 2, of 3 and of the data's number of steps. The other streams beside the listed ones have
    a drawn chunk size, or several that take turns.

    Args:
        model: the model of the file.
        sample: sequences from the data, in the user's units; their lengths are not used.
        extent: what is drawn beside the listed shapes.
    """
    sample, domain, own = replace(sample, lengths=None), Domain.of(model), sample.x.shape[1]
    shapes = SHAPES if own == STEPS else (*SHAPES, (3, own))
    listed = list(draw_cases(sample.x.numpy(), domain, shapes=shapes, least=2))  # rows may be confused
    cases = [replace(case, chunk=chunk) for case in listed for chunk in _sizes(case.time, CHUNKS)]
    further = (*SMALL_CHUNKS, own)
    cases += [
        replace(case, chunk=chunk)
        for case in listed
        if case.inputs == "data" and case.batch > 1
        for chunk in _sizes(case.time, further)
        if chunk not in _sizes(case.time, CHUNKS)
    ]
    generator = np.random.default_rng([extent.seed or 0, 1])
    return [
        *cases,
        *(_in_drawn_chunks(case, generator) for case in _further_streams(sample, domain, extent, generator)),
    ]


def _sizes(time: int, chunks: Sequence[int]) -> list[int]:
    """Return the different sizes of chunks of a stream of so many steps."""
    return list(dict.fromkeys(min(chunk, time) for chunk in chunks))


def _further_streams(sample: Split, domain: Domain, extent: Extent, generator: np.random.Generator) -> Iterator[Case]:
    """Yield the cases beside the listed ones, and now and then a stream of more than `STEPS` steps."""
    for rows in further_rows(sample, domain, extent, with_lengths=False):
        yield from rows.whole()
    if extent.thorough or not generator.integers(LONG):
        time = STEPS + log_uniform(STEPS, 1, generator).item()
        yield Case(1, time, "data", data_rows(sample.x.numpy(), domain, 1, time, generator), drawn=True)


def _in_drawn_chunks(case: Case, generator: np.random.Generator) -> Case:
    """Return a stream in chunks of a drawn size, or of several that take turns."""
    turns = tuple(log_uniform(case.time, 1, generator).item() for _ in range(generator.integers(1, MOST_TURNS + 1)))
    return replace(case, chunk=max(turns), turns=turns if len(set(turns)) > 1 else ())


def run_in_chunks(*, by_step: bool) -> RunFile:
    """Return a function that runs a file on the chunks of each case; ``by_step`` is that of the model."""

    def run_file(path: Path, mode: Mode, cases: Sequence[Case]) -> FileOutputs:
        session = OnnxSession(path, mode.provider, strict=mode.strict)
        stream = OnnxStream(session)
        outputs = [_run_stream(stream, case, by_step=by_step) for case in cases]
        repeats = repeatability(session, repeated_case(cases).x)
        return FileOutputs(outputs, session.placement(), repeats, copies(path, mode, cases))

    return run_file


def _run_stream(stream: OnnxStream, case: Case, *, by_step: bool) -> Mapping[str, Array]:
    """Run a case chunk by chunk and return the outputs of all steps, or those after the last step."""
    assert case.chunk is not None
    stream.reset()
    pieces, start, sizes = [], 0, cycle(case.turns or (case.chunk,))
    while start < case.time:
        end = start + next(sizes)
        pieces.append(stream.push(case.x[:, start:end], allow_nonfinite=True))
        start = end
    if not by_step:
        return pieces[-1]
    return {name: np.concatenate([piece[name] for piece in pieces], 1) for name in pieces[0]}
