"""How fast a run's model answers: every lowering on every provider, against torch eager on the same device."""

from __future__ import annotations

import copy
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from zoo.data.dataset import Split
from zoo.errors import ExportError, ParityError, ProviderUnavailable
from zoo.exporting.exporter import Exporter, ExportOptions, Lowering
from zoo.nn.model import Model
from zoo.parity import Array
from zoo.plugins.registry import Registry
from zoo.proof.cases import draw_cases
from zoo.proof.golden_oracle import golden
from zoo.proof.prove import MODES
from zoo.run.run import Run
from zoo.runtime.golden import Golden
from zoo.runtime.providers import PROVIDERS, unavailable
from zoo.runtime.session import OnnxSession
from zoo.timing import WARMUP, Ratio, interleave, quantiles
from zoo.versions import versions

EXPORTER = "onnx"
LOWERINGS: tuple[Lowering, ...] = get_args(Lowering)
BATCHES = (1, 32)
LONGER = 4
"""The second of the lengths that are measured where none is named, in lengths of the run's own sequences."""
LONGEST_UNROLLED = 128
"""Steps up to which ``unrolled`` is measured unasked. The time that ONNX Runtime takes to load it grows with the square
of the steps: for an LSTM 0.2 s at 32, 11 s at 256, 160 s at 1024."""
REST = 0.05
"""Seconds between turns with more than one thread. After a run the threads of ONNX Runtime spin for some 25 ms, and
those of torch for 10 ms, on cores that the next candidate needs."""

Progress = Callable[[str, float], None]
"""Told what is being done, and which share of all is done, from 0 to 1."""


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    providers: Sequence[str] = ()
    """All when empty."""
    lowerings: Sequence[Lowering] = ()
    """All that the model has when empty; those that are named it must have."""
    batches: Sequence[int] = BATCHES
    times: Sequence[int] = ()
    """Steps of a sequence; when empty those of the run's data and `LONGER` times as many."""
    threads: int = 1
    """Of ONNX Runtime's operators and of torch's."""
    rounds: int = 101
    """At most, for each provider, batch and time."""
    seconds: float = 10.0
    """After which no further round begins; see `zoo.timing.interleave`."""


@dataclass(frozen=True)
class Candidate:
    """One way to compute the model's answers."""

    name: str
    """``onnx scan``; ``onnx auto = native`` where two lowerings make the same file; ``torch fused``, ``torch cell``."""
    answer: Callable[[Array, Array | None], object]
    """x and lengths in the memory of the CPU -> outputs there too."""
    nodes: dict[str, int] = field(default_factory=dict)
    """How many nodes of the graph ran on each provider; none of torch."""


@dataclass(frozen=True)
class Row:
    """What was measured of a candidate."""

    name: str
    p50: float
    """Seconds of a batch."""
    p95: float
    sequences_per_second: float
    """At the median."""
    steps_per_second: float
    ratio: Ratio
    """To the first candidate's seconds."""
    nodes: dict[str, int]


@dataclass(frozen=True)
class Block:
    """Candidates that took turns at one input."""

    provider: str
    batch: int
    time: int
    rounds: int
    rows: list[Row]


@dataclass(frozen=True)
class File:
    """What a lowering was exported to."""

    lowerings: list[str]
    """More than one where they make the same file, byte for byte."""
    steps: int | None
    """Of the sequences that it takes, where they are fixed."""
    bytes: int
    seconds: float
    """Of the export. The first one in a process that needs to trace a cell loads what that takes."""


@dataclass(frozen=True)
class LeftOut:
    """Something that could have been measured, and why it was not."""

    name: str
    reason: str


@dataclass(frozen=True)
class Bench:
    """All that was measured."""

    run: str
    threads: int
    warmup: int
    blocks: list[Block]
    files: list[File]
    left_out: list[LeftOut]
    unavailable: dict[str, str]
    """Providers that cannot run here, and why."""
    machine: str = field(default_factory=platform.platform)
    versions: dict[str, str] = field(default_factory=versions)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def bench(run: Run, registry: Registry, plan: Plan, progress: Progress) -> Bench:
    """Export the run in every lowering, see that each file answers as the model does, and let them take turns.

    An answer is timed from arrays in the memory of the CPU to arrays there; on a GPU that is with the way there and
    back. Providers do not take turns: a GPU that waits for a CPU slows down. Nothing is proven but that each file gives
    the golden output within the budget of `zoo.parity`, and no file is kept.

    Raises:
        RunError: where the run is not finished.
        ExportError: where the model cannot be exported at all, or not with a lowering that was named.
        ParityError: where a file's answer is not the model's.
        ProviderUnavailable: where none of the providers can run here.
    """
    lacking = {name: reason for name in plan.providers or PROVIDERS if (reason := unavailable(name))}
    providers = [name for name in plan.providers or PROVIDERS if name not in lacking]
    if not providers:
        raise ProviderUnavailable("; ".join(f"{name}: unavailable: {reason}" for name, reason in lacking.items()))
    _, _, model = run.load(registry)
    sample, own_time = run.sample(), run.config()["time"]
    times = plan.times or (own_time, LONGER * own_time)
    exporter = registry.exporter(EXPORTER)
    total = len(providers) * len(times) * len(plan.batches)
    blocks: list[Block] = []
    with tempfile.TemporaryDirectory() as folder, _torch_threads(plan.threads):
        exports, left_out = _export(model, exporter, plan.lowerings, times, Path(folder), progress)
        known = {steps: golden(model, sample, steps) for steps in dict.fromkeys(one.steps for one in exports)}
        for provider in providers:
            torches, missing = _torch_candidates(model, provider)
            left_out += missing
            for steps in times:
                # Loaded for these sequences alone: longer ones would leave another arena behind.
                fitting = [one for one in exports if one.steps in (None, steps)]
                onnx = [_onnx_candidate(one, known[one.steps], provider, plan.threads) for one in fitting]
                for batch in plan.batches:
                    tell = partial(_tell, progress, f"{provider}, batch {batch}, {steps} steps", len(blocks), total)
                    inputs = _inputs(model, sample, batch, steps)
                    blocks.append(_measure([*onnx, *torches], provider, batch, steps, inputs, plan, tell))
    files = [File(one.lowerings, one.steps, one.bytes, one.seconds) for one in exports]
    return Bench(str(run.path), plan.threads, WARMUP, blocks, files, left_out, lacking)


def _tell(progress: Progress, what: str, done: int, total: int, share: float) -> None:
    progress(what, (done + share) / total)


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class _Export:
    """A file in a temporary folder."""

    path: Path
    lowerings: list[str]
    steps: int | None
    bytes: int
    seconds: float


def _export(
    model: Model,
    exporter: Exporter,
    named: Sequence[Lowering],
    times: Sequence[int],
    folder: Path,
    progress: Progress,
) -> tuple[list[_Export], list[LeftOut]]:
    """A file for each lowering that the model has, for ``unrolled`` one for each time; and what it has not."""
    found: list[_Export] = []
    left_out: list[LeftOut] = []
    for lowering in named or LOWERINGS:
        for steps in times if lowering == "unrolled" else (None,):
            name = _named([lowering]) + (f", {steps} steps" if steps else "")
            if not named and steps and steps > LONGEST_UNROLLED:
                reason = f"takes ONNX Runtime long to load beyond {LONGEST_UNROLLED} steps; --lowering unrolled asks"
                left_out.append(LeftOut(name, reason))
                continue
            progress(f"exporting {name}", 0.0)
            path = folder / f"{len(found)}{exporter.suffix}"
            began = time.perf_counter()
            try:
                exporter.export(model, path, {}, ExportOptions(lowering=lowering, steps=steps))
            except ExportError as error:
                if named or lowering == "auto":
                    raise
                left_out.append(LeftOut(name, str(error)))
                continue
            seconds, content = time.perf_counter() - began, path.read_bytes()
            same = next((one for one in found if one.path.read_bytes() == content), None)
            if same is None:
                found.append(_Export(path, [lowering], steps, len(content), seconds))
            else:
                same.lowerings.append(lowering)
    return found, left_out


def _named(lowerings: Sequence[str]) -> str:
    return f"onnx {' = '.join(lowerings)}"


def _onnx_candidate(export: _Export, known: Golden, provider: str, threads: int) -> Candidate:
    """A file on a provider, as it would be deployed there, once it has given the golden output."""
    mode, name = MODES[provider][-1], _named(export.lowerings)
    session = OnnxSession(export.path, provider, strict=mode.strict, threads=threads)
    if fault := known.fault(session.run(known.x, known.lengths), mode.precision):
        raise ParityError(f"{name} on {provider}: does not answer as the model does: {fault}; it is not measured")
    return Candidate(name, session.run, dict(Counter(node.provider for node in session.placement())))


def _torch_candidates(model: Model, provider: str) -> tuple[list[Candidate], list[LeftOut]]:
    """The model itself on the same device: with torch.nn's kernels, where it has them, and in the cells' own steps."""
    if provider == "cuda" and not torch.cuda.is_available():
        return [], [LeftOut("torch on cuda", "torch finds no GPU, or is a build without CUDA")]
    cell = model.layers()[0].directed_cells[0]  # the others are of its kind
    if cell.kernel() is not None:
        return [_torch_candidate(model, provider, fused=fused) for fused in (True, False)], []
    missing = LeftOut("torch fused", f"the cell {cell.name!r} has no fused kernel with these options")
    return [_torch_candidate(model, provider, fused=False)], [missing]


def _torch_candidate(model: Model, provider: str, *, fused: bool) -> Candidate:
    own = copy.deepcopy(model).to(provider)
    for layer in own.layers():
        layer.fused = fused
    return Candidate(f"torch {'fused' if fused else 'cell'}", partial(_torch_answer, own))


@torch.inference_mode()
def _torch_answer(model: Model, x: Array, lengths: Array | None) -> dict[str, Array]:
    valid = None if lengths is None else torch.from_numpy(lengths).to(model.device)
    outputs = model.outputs(torch.from_numpy(x).to(model.device), valid)
    return {name: value.cpu().numpy() for name, value in outputs.items()}  # which waits for a GPU


def _inputs(model: Model, sample: Split, batch: int, steps: int) -> tuple[Array, Array | None]:
    """Sequences of the run's own data, all of full length."""
    case = next(draw_cases(sample.x.numpy(), model.encoder.tokens, shapes=((batch, steps),)))
    return case.x, np.full(batch, steps) if model.takes_lengths else None


def _measure(
    candidates: Sequence[Candidate],
    provider: str,
    batch: int,
    steps: int,
    inputs: tuple[Array, Array | None],
    plan: Plan,
    progress: Callable[[float], None],
) -> Block:
    taken = interleave(
        {one.name: partial(one.answer, *inputs) for one in candidates},
        plan.rounds,
        seconds=plan.seconds,
        rest=REST if plan.threads > 1 else 0.0,
        progress=progress,
    )
    first = next(iter(taken.values()))
    rows = []
    for one in candidates:
        p50, p95 = quantiles(taken[one.name], 0.5, 0.95)
        ratio = Ratio.of(taken[one.name], first)
        rows.append(Row(one.name, p50, p95, batch / p50, batch * steps / p50, ratio, one.nodes))
    return Block(provider, batch, steps, len(first), rows)
