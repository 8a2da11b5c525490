"""What a file of lower precision is worth: its size, its time and its answers beside those of the float32 file.

The proof says whether the file computes what a file of its precision may compute; this says whether anybody wants it.
Both files answer for the whole validation part, and take turns at batch 1 and 32. The verdict follows from a few
limits:

- smaller: at most `SMALLER` times the float32 file;
- faster, slower: the quartiles of the ratio lie below, or above, 1, and its median is off by more than `NOTABLE`;
- as good: the run's metric is worse by at most `LOSS` of what the float32 file has.

Worth it is what is as good, and smaller or faster; "for size only" what is smaller and slower. All else is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import IGNORED, Split
from zoo.errors import DataError, RunError, SpecError
from zoo.nn.model import Model
from zoo.nn.readout import RescaleReadout
from zoo.plugins.registry import Registry
from zoo.proof.cases import draw_cases
from zoo.proof.prove import MODES
from zoo.run.run import Run
from zoo.runtime.session import OnnxSession
from zoo.spec.spec import Spec, part_name
from zoo.tasks.task import Task
from zoo.timing import Ratio, interleave
from zoo.training.engine import score

BATCHES = (1, 32)
ROUNDS, SECONDS = 101, 0.4
"""For each batch and provider."""
SMALLER = 0.9
NOTABLE = 0.05
LOSS = 0.01


@dataclass(frozen=True)
class Trained:
    """A run as `zoo.run.run.Run.load` gives it."""

    run: Run
    spec: Spec
    task: Task
    model: Model


def against_float32(
    path: Path,
    full: Path,
    trained: Trained,
    registry: Registry,
    providers: Sequence[str],
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure the file at ``path`` beside the float32 file ``full`` of the same run.

    Args:
        providers: keys of `zoo.proof.prove.MODES`, all of which can run here: where to measure the time.

    Returns:
        Plain values for JSON: ``size``, ``size_ratio``, ``latency``, ``metrics``, ``agreement`` and ``verdict``. Where
        the run's data cannot be had any more, ``missing`` says why, and the metrics are None.
    """
    size, before = path.stat().st_size, full.stat().st_size
    files = {"float32": full, "this": path}
    found: dict[str, Any] = {"size": size, "size_ratio": size / before, "metrics": None, "agreement": None}
    progress("answers for the validation part")
    try:
        split = _validation(trained, registry)
        answers = {name: _Answers(OnnxSession(file), trained.model) for name, file in files.items()}
        found["metrics"] = {name: score(trained.task, split, one)[0] for name, one in answers.items()}
        found["agreement"] = answers["this"].agreement(answers["float32"])
    except (DataError, RunError, SpecError) as error:
        found["missing"] = str(error)
    progress("time beside the float32 file")
    found["latency"] = [one for provider in providers for one in _latency(files, provider, trained)]
    return {**found, "verdict": verdict(found, _metric(trained), trained.task.better)}


def _metric(trained: Trained) -> str:
    """The one that chose the weights, where the task's table has it."""
    chosen: str = trained.run.config()["metric"]
    return chosen if chosen in trained.task.better else next(iter(trained.task.better))


def _validation(trained: Trained, registry: Registry) -> Split:
    """The validation part of the run's own data.

    Raises:
        DataError: where they cannot be read, or are not the same any more.
    """
    dataset = registry.data[part_name(trained.spec.data)]().load(trained.spec.data)
    if dataset.signature != trained.task.signature:
        raise DataError("the data have changed since the run was built; build it again to compare answers")
    return dataset.validation


class _Answers:
    """The scores of a file, batch by batch; keeps the label that each has."""

    def __init__(self, session: OnnxSession, model: Model) -> None:
        self.session, self.model = session, model
        self.labels: list[Tensor] = []
        """Of what counts."""

    def __call__(self, batch: Split, _: Tensor | slice) -> Tensor:
        x = batch.x.float() if batch.x.dim() == 3 else batch.x
        lengths = None if batch.lengths is None else batch.lengths.numpy()
        outputs = self.session.run(x.numpy(), lengths)
        readout = self.model.readout
        if isinstance(readout, RescaleReadout):  # numbers; metrics are of what the network itself gives
            y = torch.from_numpy(outputs["y"])
            return ((y - readout.offset) / readout.factor).flatten(1)
        scores = torch.from_numpy(outputs["logits"])
        best = scores.argmax(-1) if scores.shape[-1] > 1 else (scores > 0).squeeze(-1)
        self.labels.append(best[batch.y != IGNORED])
        return scores

    def agreement(self, other: _Answers) -> float | None:
        """Share of equal labels; None where answers are numbers."""
        if not self.labels:
            return None
        return float((torch.cat(self.labels) == torch.cat(other.labels)).double().mean())


def _latency(files: Mapping[str, Path], provider: str, trained: Trained) -> list[dict[str, Any]]:
    """Both files in turn, one thread each, as they would be deployed, at sequences as long as the run's."""
    strict = MODES[provider][-1].strict
    sessions = {name: OnnxSession(file, provider, strict=strict, threads=1) for name, file in files.items()}
    fixed = {steps for session in sessions.values() if (steps := session.input.steps) is not None}
    if len(fixed) > 1:  # both unrolled, for different lengths
        return []
    time: int = fixed.pop() if fixed else trained.run.config()["time"]
    shapes, found = [(batch, time) for batch in BATCHES], []
    for case in draw_cases(trained.run.sample().x.numpy(), trained.model.encoder.tokens, shapes=shapes):
        if case.inputs != "data":
            continue
        lengths = np.full(case.batch, time) if trained.model.takes_lengths else None
        calls = {name: partial(session.run, case.x, lengths) for name, session in sessions.items()}
        taken = interleave(calls, ROUNDS, seconds=SECONDS)
        ratio = Ratio.of(taken["this"], taken["float32"])
        told = {"ratio": ratio.median, "low": ratio.low, "high": ratio.high}
        place = {"provider": provider, "batch": case.batch, "time": time}
        found.append({**place, "median_seconds": median(taken["this"]), **told})
    return found


def verdict(found: Mapping[str, Any], metric: str, better: Mapping[str, str]) -> str:
    """In words whether the file is worth it here, by the rule above.

    Args:
        found: what was measured.
        metric: the run's.
        better: for each metric ``higher`` or ``lower``.
    """
    smaller = found["size_ratio"] <= SMALLER
    faster, slower = (any(_notable(one, sign) for one in found["latency"]) for sign in (-1, 1))
    told = [f"{_size(found['size_ratio'])} ({found['size_ratio']:.2f}x)"]
    told += [_pace(one) for one in found["latency"]]
    good = True
    if found["metrics"] is None:
        told.append(f"{metric} unknown")
    else:
        full, this = (found["metrics"][name][metric] for name in ("float32", "this"))
        worse = (full - this) if better[metric] == "higher" else (this - full)
        good = worse <= LOSS * abs(full)
        told.append(f"{metric} {full:.3g} -> {this:.3g}")
    if not good or not (smaller or faster):
        end = "not worth it here"
    elif smaller and slower:
        end = "worth it for size" if faster else "worth it for size only"
    elif smaller:
        end = "worth it" if faster else "worth it for size"
    else:
        end = "not worth it here" if slower else "worth it for speed"
    return f"{', '.join(told)}: {end}"


def _size(ratio: float) -> str:
    return "smaller" if ratio <= SMALLER else "as large" if ratio < 1 / SMALLER else "larger"


def _notable(one: Mapping[str, Any], sign: int) -> bool:
    """Whether a ratio is surely above 1, or with a ``sign`` of -1 below."""
    if sign > 0:
        return bool(one["low"] > 1 and one["ratio"] > 1 + NOTABLE)
    return bool(one["high"] < 1 and one["ratio"] < 1 - NOTABLE)


def _pace(one: Mapping[str, Any]) -> str:
    word = "slower" if _notable(one, 1) else "faster" if _notable(one, -1) else "as fast"
    return f"{word} at batch {one['batch']} on {one['provider']} ({one['ratio']:.2f}x)"
