"""Latency and throughput of a run's model: every lowering on every provider, beside torch eager on the same device."""

from __future__ import annotations

import copy
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
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
from zoo.progress import Progress
from zoo.proof.cases import draw_cases
from zoo.proof.domain import Domain
from zoo.proof.golden_oracle import golden
from zoo.proof.prove import MODES
from zoo.run.run import Run
from zoo.runtime.golden import Golden
from zoo.runtime.providers import PROVIDERS, unavailable
from zoo.runtime.session import OnnxSession
from zoo.timing import WARMUP, Ratio, interleave, quantiles
from zoo.training.threads import torch_threads
from zoo.versions import versions

EXPORTER = "onnx"
LOWERINGS: tuple[Lowering, ...] = get_args(Lowering)
BATCHES = (1, 32)
LONGER = 4
"""Factor from the length of the run's own sequences to the second default length."""
LONGEST_UNROLLED = 128
"""Largest number of steps at which ``unrolled`` is measured by default. The time in which ONNX Runtime loads it grows
with the square of the steps: for an LSTM 0.2 s at 32, 11 s at 256, 160 s at 1024."""
REST = 0.05
"""Seconds between turns with more than one thread. After a run the threads of ONNX Runtime spin for some 25 ms, and
those of torch for 10 ms, on cores that the next candidate needs."""


@dataclass(frozen=True)
class Plan:
    """Settings of a measurement."""

    providers: Sequence[str] = ()
    """Keys of `zoo.runtime.providers.PROVIDERS`; all when empty."""
    lowerings: Sequence[Lowering] = ()
    """Lowerings that the model must have; when empty all that it has."""
    batches: Sequence[int] = BATCHES
    """Batch sizes."""
    times: Sequence[int] = ()
    """Steps of a sequence; when empty those of the run's data and `LONGER` times as many."""
    threads: int = 1
    """Number of threads for ONNX Runtime's operators, and for torch's."""
    rounds: int = 101
    """Largest number of rounds for each provider, batch and time."""
    seconds: float = 10.0
    """Seconds after which no further round begins; see `zoo.timing.interleave`."""


@dataclass(frozen=True)
class Candidate:
    """One way to compute the model's outputs."""

    name: str
    """``onnx scan``; ``onnx auto = native`` for two lowerings with equal files; ``torch fused``, ``torch cell``."""
    run: Callable[[Array, Array | None], object]
    """x and lengths in CPU memory -> outputs in CPU memory."""
    nodes: dict[str, int] = field(default_factory=dict)
    """Execution provider -> number of the graph's nodes that it ran; empty for torch."""


@dataclass(frozen=True)
class Row:
    """Measurements of one candidate at one input."""

    name: str
    """Name of the candidate."""
    p50: float
    """Median seconds for a batch."""
    p95: float
    """95th percentile of the seconds for a batch."""
    sequences_per_second: float
    """Throughput at the median."""
    steps_per_second: float
    """Throughput at the median, in steps of all sequences."""
    ratio: Ratio
    """Seconds of this candidate divided by those of the first candidate."""
    nodes: dict[str, int]
    """See `Candidate.nodes`."""


@dataclass(frozen=True)
class Block:
    """Measurements of candidates that took turns at one input."""

    provider: str
    """Key of `zoo.runtime.providers.PROVIDERS`; torch ran on the same device."""
    batch: int
    """Number of sequences."""
    time: int
    """Steps of each sequence."""
    rounds: int
    """Number of measured rounds."""
    rows: list[Row]
    """One row per candidate."""


@dataclass(frozen=True)
class File:
    """An exported file."""

    lowerings: list[str]
    """Lowerings whose files are equal, byte for byte."""
    steps: int | None
    """Number of steps of its sequences; None where any number is possible."""
    bytes: int
    """Size in bytes."""
    seconds: float
    """Seconds for the export. In the first export that traces a cell this includes the time to load the tracer."""


@dataclass(frozen=True)
class LeftOut:
    """A possible candidate that was not measured."""

    name: str
    """Name of the candidate."""
    reason: str
    """Why it was not measured."""


@dataclass(frozen=True)
class Bench:
    """Result of a measurement."""

    run: str
    """Folder of the run."""
    threads: int
    """See `Plan.threads`."""
    warmup: int
    """Rounds before the first measured round."""
    blocks: list[Block]
    """Measurements by provider, time and batch."""
    files: list[File]
    """The exported files."""
    left_out: list[LeftOut]
    """Candidates that were not measured."""
    unavailable: dict[str, str]
    """Providers that cannot run here -> reason."""
    machine: str = field(default_factory=platform.platform)
    """Operating system and architecture."""
    versions: dict[str, str] = field(default_factory=versions)
    """Package -> version."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        return asdict(self)


def bench(run: Run, registry: Registry, plan: Plan, progress: Progress) -> Bench:
    """Export a run in every lowering, check the golden output of each file, and time the files and torch in turns.

    A time is measured from arrays in CPU memory to arrays in CPU memory, with both copies on a GPU. Providers do not
    take turns, because a GPU slows down while it waits for a CPU. The files are temporary, and checked only by their
    golden output, within the budget of `zoo.parity`.

    Args:
        run: a finished run.
        registry: gives the run's plugins and the exporter.
        plan: what to measure.
        progress: called before each export, and after each round.

    Returns:
        The times of every candidate by provider, batch and time, and the sizes of the exported files.

    Raises:
        RunError: where the run is not finished.
        ExportError: where the model cannot be exported at all, or not with a lowering of the plan.
        ParityError: where the golden output of a file differs from the model's.
        ProviderUnavailable: where none of the providers can run here.
    """
    missing = {name: reason for name in plan.providers or PROVIDERS if (reason := unavailable(name))}
    providers = [name for name in plan.providers or PROVIDERS if name not in missing]
    if not providers:
        raise ProviderUnavailable("; ".join(f"{name}: unavailable: {reason}" for name, reason in missing.items()))
    _, _, model = run.load(registry)
    sample, own_time = run.sample(), run.config()["time"]
    times = plan.times or (own_time, LONGER * own_time)
    total = len(providers) * len(times) * len(plan.batches)
    blocks: list[Block] = []
    with tempfile.TemporaryDirectory() as folder, torch_threads(plan.threads):
        files, left_out = _export(model, registry.exporter(EXPORTER), plan.lowerings, times, Path(folder), progress)
        examples = {steps: golden(model, sample, steps) for steps in dict.fromkeys(f.steps for f in files.values())}
        for provider in providers:
            torch_candidates, without = _torch_candidates(model, provider)
            left_out += without
            for steps in times:
                # New sessions for each length: longer sequences would leave a larger arena behind.
                onnx_candidates = [
                    _onnx_candidate(path, file, examples[file.steps], provider, plan.threads)
                    for path, file in files.items()
                    if file.steps in (None, steps)
                ]
                candidates = [*onnx_candidates, *torch_candidates]
                for batch in plan.batches:
                    text = f"{provider}, batch {batch}, {steps} steps"
                    report_share = partial(_report_share, progress, text, len(blocks), total)
                    inputs = _inputs(model, sample, batch, steps)
                    blocks.append(_measure(candidates, provider, batch, steps, inputs, plan, report_share))
    return Bench(str(run.path), plan.threads, WARMUP, blocks, list(files.values()), left_out, missing)


def _report_share(progress: Progress, text: str, done: int, total: int, share: float) -> None:
    """Report that ``done`` blocks and a share of the next one of ``total`` blocks are measured."""
    progress(text, (done + share) / total)


def _export(
    model: Model,
    exporter: Exporter,
    named: Sequence[Lowering],
    times: Sequence[int],
    folder: Path,
    progress: Progress,
) -> tuple[dict[Path, File], list[LeftOut]]:
    """Export the named or all lowerings into ``folder``, ``unrolled`` once for each time.

    Returns:
        The files by their paths, and the lowerings that the model does not have.
    """
    files: dict[Path, File] = {}
    left_out: list[LeftOut] = []
    for lowering in named or LOWERINGS:
        for steps in times if lowering == "unrolled" else (None,):
            name = _name([lowering]) + (f", {steps} steps" if steps else "")
            if not named and steps and steps > LONGEST_UNROLLED:
                reason = (
                    f"ONNX Runtime loads it slowly beyond {LONGEST_UNROLLED} steps; --lowering unrolled measures it"
                )
                left_out.append(LeftOut(name, reason))
                continue
            progress(f"exporting {name}", 0.0)
            path = folder / f"{len(files)}{exporter.suffix}"
            began = time.perf_counter()
            try:
                exporter.export(model, path, {}, ExportOptions(lowering=lowering, steps=steps))
            except ExportError as error:
                if named or lowering == "auto":
                    raise
                left_out.append(LeftOut(name, str(error)))
                continue
            seconds, content = time.perf_counter() - began, path.read_bytes()
            equal = next((file for other, file in files.items() if other.read_bytes() == content), None)
            if equal is None:
                files[path] = File([lowering], steps, len(content), seconds)
            else:
                equal.lowerings.append(lowering)
    return files, left_out


def _name(lowerings: Sequence[str]) -> str:
    return f"onnx {' = '.join(lowerings)}"


def _onnx_candidate(path: Path, file: File, example: Golden, provider: str, threads: int) -> Candidate:
    """Return a file on a provider, as in deployment.

    Raises:
        ParityError: where the golden output of the file differs from the model's.
    """
    mode, name = MODES[provider][-1], _name(file.lowerings)
    session = OnnxSession(path, provider, strict=mode.strict, threads=threads)
    if fault := example.fault(session.run(example.x, example.lengths), mode.precision):
        raise ParityError(f"{name} on {provider}: the output differs from the model's: {fault}; it is not measured")
    return Candidate(name, session.run, dict(Counter(node.provider for node in session.placement())))


def _torch_candidates(model: Model, provider: str) -> tuple[list[Candidate], list[LeftOut]]:
    """Return the model in torch on the provider's device, with fused kernels if it has them, and with cell steps."""
    if provider == "cuda" and not torch.cuda.is_available():
        return [], [LeftOut("torch on cuda", "torch finds no GPU, or is a build without CUDA")]
    cell = model.layers()[0].directed_cells[0]  # all cells have the same type
    if cell.kernel() is not None:
        return [_torch_candidate(model, provider, fused=fused) for fused in (True, False)], []
    missing = LeftOut("torch fused", f"the cell {cell.name!r} has no fused kernel with these options")
    return [_torch_candidate(model, provider, fused=False)], [missing]


def _torch_candidate(model: Model, provider: str, *, fused: bool) -> Candidate:
    own = copy.deepcopy(model).to(provider)
    for layer in own.layers():
        layer.fused = fused
    return Candidate(f"torch {'fused' if fused else 'cell'}", partial(_run_torch, own))


@torch.inference_mode()
def _run_torch(model: Model, x: Array, lengths: Array | None) -> dict[str, Array]:
    valid = None if lengths is None else torch.from_numpy(lengths).to(model.device)
    outputs = model.outputs(torch.from_numpy(x).to(model.device), valid)
    return {name: value.cpu().numpy() for name, value in outputs.items()}  # waits for the GPU


def _inputs(model: Model, sample: Split, batch: int, steps: int) -> tuple[Array, Array | None]:
    """Return sequences from the run's sample, all of full length, and their lengths if the model takes lengths."""
    case = next(draw_cases(sample.x.numpy(), Domain.of(model), shapes=((batch, steps),)))
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
    """Time the candidates in turns."""
    seconds = interleave(
        {candidate.name: partial(candidate.run, *inputs) for candidate in candidates},
        plan.rounds,
        seconds=plan.seconds,
        rest=REST if plan.threads > 1 else 0.0,
        progress=progress,
    )
    first = next(iter(seconds.values()))
    rows = []
    for candidate in candidates:
        own = seconds[candidate.name]
        p50, p95 = quantiles(own, 0.5, 0.95)
        speeds = batch / p50, batch * steps / p50
        rows.append(Row(candidate.name, p50, p95, *speeds, Ratio.of(own, first), candidate.nodes))
    return Block(provider, batch, steps, len(first), rows)
