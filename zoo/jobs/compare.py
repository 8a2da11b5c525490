"""Runs side by side: what each kind of model costs and how good it is, with the spread over seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.parity import Array
from zoo.plugins.registry import Registry
from zoo.proof.cases import draw_cases
from zoo.run.run import Run
from zoo.runtime.providers import PROVIDERS, unavailable
from zoo.runtime.session import OnnxSession
from zoo.spec.spec import SpecReader
from zoo.timing import interleave

ROUNDS = 101
LONGEST = 24
"""Characters of a value in a label; of a longer one (a path, say) the end is shown."""
Keys = tuple[str, ...]


@dataclass(frozen=True)
class _Member:
    """A finished run and what is known of it."""

    run: Run
    spec: dict[str, Any]
    config: dict[str, Any]

    @property
    def exported(self) -> Path:
        """The file for whole sequences, whether it is there or not."""
        return self.run.export_folder("onnx") / "model.onnx"


@dataclass(frozen=True)
class Group:
    """Runs whose specs are the same apart from their names, descriptions and seeds: a row of the comparison."""

    architecture: str
    differences: dict[str, Any]
    """What tells this group's spec from those of the others, by the field's place: ``training.optimizer.lr``."""
    runs: list[str]
    seeds: list[int]
    """Without repetition."""
    parameters: int
    weights_bytes: int
    values: list[float]
    """The metric on the test part, by run."""
    baseline: str
    """The best naive predictor; empty where the task has none."""
    baseline_value: float | None
    not_beaten: int
    """Runs that are no better than some naive predictor."""
    constant: int
    """Runs whose model gives the same answer for every sequence."""
    training_seconds: float
    """The median over the runs."""
    trained_on: list[str]
    """``cpu, 1 thread`` or a GPU: times on different ones say nothing about the models."""
    export_bytes: int | None
    """Of the ONNX file; None where no run of the group has one."""
    time: int
    """Steps of the sequence whose latency is measured."""
    latency: dict[str, float]
    """Median seconds for one sequence, by the provider that can run here; empty without an ONNX file."""

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def label(self) -> str:
        """The architecture, and in short what differs: ``gru, hidden_size 32``."""
        return ", ".join(
            [self.architecture, *(f"{_field(place)} {_shown(v)}" for place, v in self.differences.items())]
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        spread = {"mean": self.mean, "min": min(self.values), "max": max(self.values)}
        return {"label": self.label, **vars(self), **spread}


@dataclass(frozen=True)
class Comparison:
    """All groups, in the order in which the runs were named."""

    task: str
    metric: str
    better: str
    """``higher`` or ``lower``."""
    groups: list[Group]
    unavailable: dict[str, str]
    """Providers that cannot run here, and why."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**vars(self), "groups": [group.to_dict() for group in self.groups]}


def compare(runs: Sequence[Run], registry: Registry) -> Comparison:
    """Group the runs and measure the latency of their exported files.

    Raises:
        RunError: where a run is not finished, or its exported file does not load.
        UsageError: where the runs are not of one task and one metric.
    """
    reader = SpecReader.of(registry)
    members = [_Member(run, reader.read(run.spec_file).to_dict(), run.config()) for run in dict.fromkeys(runs)]
    task = _common(members, "task", lambda member: str(member.spec["task"]["name"]))
    better = registry.tasks[task].better
    # As the reports have it: the metric that chose the weights, where the test part has it.
    first = next(iter(better))
    metric = _common(members, "metric", lambda m: m.config["metric"] if m.config["metric"] in better else first)
    grouped: dict[str, list[_Member]] = {}
    for member in members:
        grouped.setdefault(_identity(member.spec), []).append(member)
    groups = list(grouped.values())
    lacking = {name: reason for name in PROVIDERS if (reason := unavailable(name))}
    latencies = _latencies([_exported(group) for group in groups], [name for name in PROVIDERS if name not in lacking])
    places = list(_differing([_compared(group[0].spec) for group in groups]))
    return Comparison(
        task,
        metric,
        better[metric],
        [_group(group, metric, better[metric], places, own) for group, own in zip(groups, latencies, strict=True)],
        lacking,
    )


def _common(members: Sequence[_Member], what: str, of: Callable[[_Member], str]) -> str:
    """What all runs have in common.

    Raises:
        UsageError: naming two runs that have not.
    """
    first, *others = members
    for other in others:
        if of(other) != of(first):
            raise UsageError(
                f"{first.run.path} has the {what} {of(first)!r} and {other.run.path} has {of(other)!r}; "
                f"compare runs of one {what}"
            )
    return of(first)


def _compared(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec without what makes no other kind of model of it."""
    kept = {key: value for key, value in spec.items() if key not in ("name", "description")}
    return {**kept, "training": {key: value for key, value in spec["training"].items() if key != "seed"}}


def _identity(spec: Mapping[str, Any]) -> str:
    return json.dumps(_compared(spec), sort_keys=True)


def _differing(values: Sequence[Any], place: Keys = ()) -> Iterator[Keys]:
    """The places of fields that are not the same everywhere.

    A field counts where it exists: that a GRU has a ``reset`` and an LSTM has none is said by their names.
    """
    if all(isinstance(value, dict) for value in values):
        for key in dict.fromkeys(key for value in values for key in value):
            yield from _differing([value[key] for value in values if key in value], (*place, key))
    elif any(value != values[0] for value in values):
        yield place


def _differences(spec: Mapping[str, Any], places: Sequence[Keys]) -> dict[str, Any]:
    """The fields of a spec that stand at these places, but for the architecture's name, which is told anyway."""
    found = {}
    for place in places:
        value: Any = spec
        for key in place:
            value = value.get(key, spec) if isinstance(value, dict) else spec
        if value is not spec and place != ("architecture", "name"):
            found[".".join(place)] = value
    return found


def _field(place: str) -> str:
    """The last word of a field's place; of a part's name the part: ``optimizer``."""
    *parts, field = place.split(".")
    return parts[-1] if field == "name" and parts else field


def _shown(value: Any) -> str:
    """A field's value in a label."""
    if isinstance(value, dict):
        return " ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "+".join(map(_shown, value))
    text = "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST else f"…{text[1 - LONGEST :]}"


def _exported(group: Sequence[_Member]) -> _Member | None:
    """The first run of a group that has a file: the latency is a matter of the architecture, not of the weights."""
    return next((member for member in group if member.exported.is_file()), None)


def _group(
    group: Sequence[_Member], metric: str, better: str, places: Sequence[Keys], latency: Mapping[str, float]
) -> Group:
    first, exported = group[0], _exported(group)
    naive = {name: metrics[metric] for name, metrics in first.config["baselines"].items()}
    best = "" if not naive else (max if better == "higher" else min)(naive, key=naive.__getitem__)
    return Group(
        architecture=first.spec["architecture"]["name"],
        differences=_differences(first.spec, places),
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
    threads = f", {config['threads']} thread{'s' if config['threads'] > 1 else ''}"
    return f"{config['device']}{threads if config['device'] == 'cpu' else ''}"


def _latencies(exported: Sequence[_Member | None], providers: Sequence[str]) -> list[dict[str, float]]:
    """For each member the median seconds of one sequence as long as its data's, by provider, with one thread.

    All take turns, so that a machine that others use too is slow for each of them alike.
    """
    calls = {
        (place, provider): partial(OnnxSession(member.exported, provider, strict=False, threads=1).run, _input(member))
        for place, member in enumerate(exported)
        if member is not None
        for provider in providers
    }
    seconds = interleave(calls, ROUNDS)
    return [
        {provider: statistics.median(found) for (at, provider), found in seconds.items() if at == place}
        for place in range(len(exported))
    ]


def _input(member: _Member) -> Array:
    """One sequence from the run's own data."""
    signature, shapes = member.config["signature"], ((1, member.config["time"]),)
    return next(draw_cases(member.run.sample().x.numpy(), len(signature["vocabulary"]), shapes=shapes)).x
