"""Comparison of a file of lower precision with the float32 file: size, time and predictions.

The proof shows that the file computes what a file of its precision may compute; this comparison shows whether the lower
precision is useful. Both files predict the whole validation part, and take turns at batch 1 and 32. The verdict follows
from these limits:

- smaller: at most `SMALLER` times the size of the float32 file;
- faster or slower: the quartiles of the ratio of times are both below or both above 1, and its median differs from 1 by
  more than `NOTABLE`;
- as good: the run's metric is worse by at most the share `LOSS` of the float32 file's metric.

A file is worth it if it is as good, and smaller or faster. It is worth it for size only if it is smaller and slower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Split
from zoo.data.signature import IGNORED
from zoo.errors import DataError, RunError, SpecError
from zoo.nn.model import Model
from zoo.nn.readout import scores_of
from zoo.plugins.registry import Registry
from zoo.progress import Progress
from zoo.proof.cases import draw_cases
from zoo.proof.domain import Domain
from zoo.proof.prove import MODES
from zoo.run.baselines import compared_metric
from zoo.run.run import Run
from zoo.runtime.session import OnnxSession
from zoo.spec.spec import Spec, part_name
from zoo.tasks.task import Task
from zoo.timing import Ratio, interleave
from zoo.training.engine import score

BATCHES = (1, 32)
ROUNDS, SECONDS = 101, 0.4
"""Largest number of rounds, and of seconds, for each batch and provider."""
SMALLER = 0.9
NOTABLE = 0.05
LOSS = 0.01


@dataclass(frozen=True)
class Trained:
    """A run with the results of `zoo.run.run.Run.load`."""

    run: Run
    """The run's folder."""
    spec: Spec
    """The resolved spec."""
    task: Task
    """The task with the signature of the data."""
    model: Model
    """The trained model, float32 on the CPU."""


def against_float32(
    path: Path,
    full: Path,
    trained: Trained,
    registry: Registry,
    providers: Sequence[str],
    progress: Progress,
) -> dict[str, Any]:
    """Compare the file at ``path`` with the float32 file of the same run.

    Args:
        path: a file of lower precision.
        full: the float32 file.
        trained: the run.
        registry: gives the data source of the run's data.
        providers: keys of `zoo.proof.prove.MODES` to measure the time on; all of them must be able to run here.
        progress: called with a few words at the start of each measurement.

    Returns:
        Values for JSON: ``size`` in bytes, ``size_ratio``, ``latency`` (median seconds, and the ratio to the float32
        file's seconds, by provider and batch), ``metrics`` of both files, ``agreement`` (share of equal labels, or None
        for numbers) and ``verdict``. If the run's data cannot be read, ``missing`` gives the reason, and metrics and
        agreement are None.
    """
    size, full_size, better = path.stat().st_size, full.stat().st_size, trained.task.better
    files = {"float32": full, "this": path}
    result: dict[str, Any] = {"size": size, "size_ratio": size / full_size, "metrics": None, "agreement": None}
    progress("predictions for the validation part")
    try:
        split = _validation(trained, registry)
        scores = {name: _Scores(OnnxSession(file), trained.model) for name, file in files.items()}
        result["metrics"] = {name: score(trained.task, split, own)[0] for name, own in scores.items()}
        result["agreement"] = scores["this"].agreement(scores["float32"])
    except (DataError, RunError, SpecError) as error:
        result["missing"] = str(error)
    progress("time beside the float32 file")
    result["latency"] = [entry for provider in providers for entry in _latency(files, provider, trained)]
    metric = compared_metric(trained.run.config()["metric"], better)
    return {**result, "verdict": verdict(result, metric, better)}


def _validation(trained: Trained, registry: Registry) -> Split:
    """Return the validation part of the run's data, for which the task has learnt from the training part.

    Raises:
        DataError: where the data cannot be read, or have changed.
    """
    dataset = registry.data[part_name(trained.spec.data)]().load(trained.spec.data)
    if dataset.signature != trained.task.signature:
        raise DataError("the data have changed since the run was built; build it again to compare predictions")
    trained.task.fit(dataset.train)
    return dataset.validation


class _Scores:
    """Scores of an exported file, for `zoo.training.engine.score`; keeps the predicted labels."""

    def __init__(self, session: OnnxSession, model: Model) -> None:
        self.session, self.model = session, model
        self.labels: list[Tensor] = []
        """Predicted labels of each batch, without steps that have no target."""

    def __call__(self, batch: Split, _: Tensor | slice) -> Tensor:
        x = batch.x.float() if batch.x.dim() == 3 else batch.x
        lengths = None if batch.lengths is None else batch.lengths.numpy()
        outputs = self.session.run(x.numpy(), lengths)
        tensors = {name: torch.from_numpy(outputs[name]) for name in self.session.result_names}
        scores = scores_of(self.model.readout, tensors, self.model.groups(batch.x))  # metrics are computed on scores
        if "logits" not in tensors:
            return scores
        if batch.y.is_floating_point():  # several labels for each sequence
            self.labels.append((scores >= 0).flatten())
            return scores
        best = scores.argmax(-1) if scores.shape[-1] > 1 else (scores > 0).squeeze(-1)
        self.labels.append(best[batch.y != IGNORED])
        return scores

    def agreement(self, other: _Scores) -> float | None:
        """Return the share of equal labels; None for predictions of numbers."""
        if not self.labels:
            return None
        return float((torch.cat(self.labels) == torch.cat(other.labels)).double().mean())


def _latency(files: Mapping[str, Path], provider: str, trained: Trained) -> list[dict[str, Any]]:
    """Return the latency for each batch size: both files in turns, in deployed mode, with one thread each.

    The sequences are as long as those of the run's data, or as an unrolled file demands; empty where both files are
    unrolled for different lengths.
    """
    strict = MODES[provider][-1].strict
    sessions = {name: OnnxSession(file, provider, strict=strict, threads=1) for name, file in files.items()}
    fixed = {steps for session in sessions.values() if (steps := session.input.steps) is not None}
    if len(fixed) > 1:
        return []
    time: int = fixed.pop() if fixed else trained.run.config()["time"]
    shapes, entries = [(batch, time) for batch in BATCHES], []
    for case in draw_cases(trained.run.sample().x.numpy(), Domain.of(trained.model), shapes=shapes):
        if case.inputs != "data":
            continue
        lengths = np.full(case.batch, time) if trained.model.takes_lengths else None
        calls = {name: partial(session.run, case.x, lengths) for name, session in sessions.items()}
        seconds = interleave(calls, ROUNDS, seconds=SECONDS)
        ratio = Ratio.of(seconds["this"], seconds["float32"])
        entry = {"provider": provider, "batch": case.batch, "time": time, "median_seconds": median(seconds["this"])}
        entries.append({**entry, "ratio": ratio.median, "low": ratio.low, "high": ratio.high})
    return entries


def verdict(result: Mapping[str, Any], metric: str, better: Mapping[str, str]) -> str:
    """Return the comparison in words, and whether the file is worth it here, by the rule in this module's docstring.

    Args:
        result: ``size_ratio``, ``latency`` and ``metrics`` of `against_float32`.
        metric: the metric to compare by.
        better: for each metric ``higher`` or ``lower``.
    """
    smaller = result["size_ratio"] <= SMALLER
    faster, slower = (any(_notable(entry, sign) for entry in result["latency"]) for sign in (-1, 1))
    phrases = [f"{_size(result['size_ratio'])} ({result['size_ratio']:.2f}x)"]
    phrases += [_speed(entry) for entry in result["latency"]]
    good = True
    if result["metrics"] is None:
        phrases.append(f"{metric} unknown")
    else:
        full, this = (result["metrics"][name][metric] for name in ("float32", "this"))
        worse = (full - this) if better[metric] == "higher" else (this - full)
        good = worse <= LOSS * abs(full)
        phrases.append(f"{metric} {full:.3g} -> {this:.3g}")
    if not good or not (smaller or faster):
        end = "not worth it here"
    elif smaller and slower:
        end = "worth it for size" if faster else "worth it for size only"
    elif smaller:
        end = "worth it" if faster else "worth it for size"
    else:
        end = "not worth it here" if slower else "worth it for speed"
    return f"{', '.join(phrases)}: {end}"


def _size(ratio: float) -> str:
    return "smaller" if ratio <= SMALLER else "as large" if ratio < 1 / SMALLER else "larger"


def _notable(entry: Mapping[str, Any], sign: int) -> bool:
    """Return whether the ratio of times is clearly above 1, or with a ``sign`` of -1 clearly below 1."""
    if sign > 0:
        return bool(entry["low"] > 1 and entry["ratio"] > 1 + NOTABLE)
    return bool(entry["high"] < 1 and entry["ratio"] < 1 - NOTABLE)


def _speed(entry: Mapping[str, Any]) -> str:
    word = "slower" if _notable(entry, 1) else "faster" if _notable(entry, -1) else "as fast"
    return f"{word} at batch {entry['batch']} on {entry['provider']} ({entry['ratio']:.2f}x)"
