"""Comparison of runs: quality, size and speed of each kind of model, with the spread over seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zoo.data.signature import Signature
from zoo.errors import UsageError
from zoo.parity import Array
from zoo.plugins.registry import Registry
from zoo.proof.cases import draw_cases
from zoo.proof.domain import Domain
from zoo.run.baselines import compared_metric
from zoo.run.run import Run
from zoo.runtime.providers import PROVIDERS, unavailable
from zoo.runtime.session import OnnxSession
from zoo.spec.spec import SpecReader
from zoo.timing import interleave

ROUNDS = 101
LONGEST = 24
"""Number of characters of a value in a label; of a longer value, such as a path, the end is shown."""
Keys = tuple[str, ...]
"""Keys that lead to a field of a spec, from the outside in."""


@dataclass(frozen=True)
class _Member:
    """A finished run with its spec and its config.json."""

    run: Run
    spec: dict[str, Any]
    config: dict[str, Any]

    @property
    def exported(self) -> Path:
        """Path of the float32 file for whole sequences, which need not exist."""
        return self.run.export_folder("onnx") / "model.onnx"


@dataclass(frozen=True)
class Group:
    """A row of the comparison: runs whose specs differ only in name, description and seed."""

    architecture: str
    """Name of the architecture."""
    differences: dict[str, Any]
    """Fields in which the groups' specs differ, with this group's values: ``training.optimizer.lr`` -> 0.01."""
    runs: list[str]
    """Folders of the runs."""
    seeds: list[int]
    """The different seeds of the runs, in ascending order."""
    parameters: int
    """Number of parameters."""
    weights_bytes: int
    """Size of the weights file in bytes."""
    values: list[float]
    """The metric on the test part, for each run."""
    baseline: str
    """Name of the best naive predictor; empty where the task has none."""
    baseline_value: float | None
    """The metric of that predictor on the test part."""
    not_beaten: int
    """Number of runs that are no better than at least one naive predictor."""
    constant: int
    """Number of runs whose model makes the same prediction for every sequence."""
    training_seconds: float
    """Median over the runs."""
    trained_on: list[str]
    """Devices of the training, such as ``cpu, 1 thread``; times on different devices are not comparable."""
    export_bytes: int | None
    """Size of the ONNX file in bytes; None where no run of the group has such a file."""
    time: int
    """Steps of the sequence whose latency is measured."""
    latency: dict[str, float]
    """Median seconds for one sequence, by provider; empty without an ONNX file."""

    @property
    def mean(self) -> float:
        """Mean of `values`."""
        return statistics.fmean(self.values)

    @property
    def label(self) -> str:
        """Name of the row, the architecture and the differences: ``gru, hidden_size 32``."""
        return ", ".join([self.architecture, *(f"{_field(key)} {_label(v)}" for key, v in self.differences.items())])

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        spread = {"mean": self.mean, "min": min(self.values), "max": max(self.values)}
        return {"label": self.label, **vars(self), **spread}


@dataclass(frozen=True)
class Comparison:
    """All groups, in the order of their first runs."""

    task: str
    """Name of the task of all runs."""
    metric: str
    """Name of the metric to compare by."""
    better: str
    """Whether ``higher`` or ``lower`` values of the metric are better."""
    groups: list[Group]
    """The rows."""
    unavailable: dict[str, str]
    """Providers that cannot run here -> reason."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        return {**vars(self), "groups": [group.to_dict() for group in self.groups]}


def compare(runs: Sequence[Run], registry: Registry) -> Comparison:
    """Group the runs by their specs and measure the latency of their exported files.

    The latency is measured for one sequence as long as those of the run's data, with one thread.

    Args:
        runs: finished runs; a repeated run counts once.
        registry: gives the runs' tasks.

    Returns:
        A group for each kind of model, in the order of the runs.

    Raises:
        RunError: where a run is not finished, or its exported file does not load.
        UsageError: where the runs do not have the same task and the same metric, or the metric is the loss and they
            have different losses.
    """
    reader = SpecReader.of(registry)
    members = [_Member(run, reader.read_run(run.spec_file).to_dict(), run.config()) for run in dict.fromkeys(runs)]
    task = _common(members, "task", lambda member: str(member.spec["task"]["name"]))
    better = registry.tasks[task].better
    metric = _common(members, "metric", lambda member: compared_metric(member.config["metric"], better))
    if metric == "loss":
        _common(members, "loss in task", lambda member: _loss_options(member.spec["task"]))
    grouped: dict[str, list[_Member]] = {}
    for member in members:
        grouped.setdefault(_identity(member.spec), []).append(member)
    groups = list(grouped.values())
    missing = {name: reason for name in PROVIDERS if (reason := unavailable(name))}
    latencies = _latencies([_exported(group) for group in groups], [name for name in PROVIDERS if name not in missing])
    fields = list(_differing([_compared(group[0].spec) for group in groups]))
    return Comparison(
        task,
        metric,
        better[metric],
        [_group(group, metric, better[metric], fields, own) for group, own in zip(groups, latencies, strict=True)],
        missing,
    )


def _common(members: Sequence[_Member], what: str, of: Callable[[_Member], str]) -> str:
    """Return the value that all runs have in common.

    Raises:
        UsageError: where two runs have different values.
    """
    first, *others = members
    for other in others:
        if of(other) != of(first):
            raise UsageError(
                f"{first.run.path} has the {what} {of(first)!r} and {other.run.path} has {of(other)!r}; "
                f"compare runs of one {what}"
            )
    return of(first)


def _loss_options(task: Mapping[str, Any]) -> str:
    """Return the options of a task that its loss depends on, as text: all but the head."""
    return json.dumps({key: value for key, value in task.items() if key != "head"})


def _compared(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec without name, description and seed, which do not change the kind of model."""
    kept = {key: value for key, value in spec.items() if key not in ("name", "description")}
    return {**kept, "training": {key: value for key, value in spec["training"].items() if key != "seed"}}


def _identity(spec: Mapping[str, Any]) -> str:
    """Return a text that is equal for specs of the same kind of model."""
    return json.dumps(_compared(spec), sort_keys=True)


def _differing(values: Sequence[Any], keys: Keys = ()) -> Iterator[Keys]:
    """Yield the keys of fields that are not equal in all values.

    A field is compared only where it exists: only a GRU has ``reset``, which the name of the architecture implies.
    """
    if all(isinstance(value, dict) for value in values):
        for key in dict.fromkeys(key for value in values for key in value):
            yield from _differing([value[key] for value in values if key in value], (*keys, key))
    elif any(value != values[0] for value in values):
        yield keys


def _differences(spec: Mapping[str, Any], fields: Sequence[Keys]) -> dict[str, Any]:
    """Return those of the fields that the spec has, without the architecture's name, which the label contains."""
    differences = {}
    for keys in fields:
        value: Any = spec
        for key in keys:
            value = value.get(key, spec) if isinstance(value, dict) else spec
        if value is not spec and keys != ("architecture", "name"):
            differences[".".join(keys)] = value
    return differences


def _field(key: str) -> str:
    """Return a field's own name, or for ``name`` that of its section: ``training.optimizer.name`` -> ``optimizer``."""
    *parts, field = key.split(".")
    return parts[-1] if field == "name" and parts else field


def _label(value: Any) -> str:
    """Return a field's value as text for a label."""
    if isinstance(value, dict):
        return " ".join(f"{key} {_label(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "+".join(map(_label, value))
    text = "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST else f"…{text[1 - LONGEST :]}"


def _exported(group: Sequence[_Member]) -> _Member | None:
    """Return the first run of a group with an exported file; the latency does not depend on the weights."""
    return next((member for member in group if member.exported.is_file()), None)


def _group(
    group: Sequence[_Member], metric: str, better: str, fields: Sequence[Keys], latency: Mapping[str, float]
) -> Group:
    """Return the row of runs of the same kind of model."""
    first, exported = group[0], _exported(group)
    naive = {name: metrics[metric] for name, metrics in first.config["baselines"].items()}
    best = "" if not naive else (max if better == "higher" else min)(naive, key=naive.__getitem__)
    return Group(
        architecture=first.spec["architecture"]["name"],
        differences=_differences(first.spec, fields),
        runs=[str(member.run.path) for member in group],
        seeds=sorted({member.spec["training"]["seed"] for member in group}),
        parameters=first.config["parameters"],
        weights_bytes=first.run.weights_file.stat().st_size,
        values=[member.config["test"][metric] for member in group],
        baseline=best,
        baseline_value=naive.get(best),
        not_beaten=sum(bool(member.config["not_beaten"]) for member in group),
        constant=sum(bool(member.config["constant"]) for member in group),
        training_seconds=statistics.median(member.config["training_seconds"] for member in group),
        trained_on=sorted({_device(member.config) for member in group}),
        export_bytes=None if exported is None else exported.exported.stat().st_size,
        time=(exported or first).config["time"],
        latency=dict(latency),
    )


def _device(config: Mapping[str, Any]) -> str:
    """Return the device of a training, with the number of threads on a CPU."""
    threads = f", {config['threads']} thread{'s' if config['threads'] > 1 else ''}"
    return f"{config['device']}{threads if config['device'] == 'cpu' else ''}"


def _latencies(exported: Sequence[_Member | None], providers: Sequence[str]) -> list[dict[str, float]]:
    """Return for each member the median seconds of one sequence, by provider; empty for a member that is None.

    All files take turns, so that other load on the machine affects them equally.
    """
    calls = {
        (index, provider): partial(OnnxSession(member.exported, provider, strict=False, threads=1).run, _input(member))
        for index, member in enumerate(exported)
        if member is not None
        for provider in providers
    }
    seconds = interleave(calls, ROUNDS)
    return [
        {provider: statistics.median(times) for (at, provider), times in seconds.items() if at == index}
        for index in range(len(exported))
    ]


def _input(member: _Member) -> Array:
    """Return one sequence of the run's sample, as long as those of its data."""
    signature, shapes = Signature.from_dict(member.config["signature"]), ((1, member.config["time"]),)
    categories = signature.category_counts if signature.categories else ()
    domain = Domain(len(signature.vocabulary), categories, signature.group)
    return next(draw_cases(member.run.sample().x.numpy(), domain, shapes=shapes)).x
