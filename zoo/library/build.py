"""``zoo.build``: train the model of a spec from Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.data.dataset import ARRAYS, Dataset, Split
from zoo.data.dataset_checks import check_dataset
from zoo.errors import UsageError
from zoo.jobs.build import Plan, pick_device, prepare
from zoo.jobs.build import build as train_and_write
from zoo.library.activity import activity, screen
from zoo.library.progress import Silence, watch
from zoo.library.run import Run
from zoo.plugins.registry import Registry, load_registry
from zoo.progress import reporting_to
from zoo.run import run as folder
from zoo.run.choose_run import choose_run
from zoo.run.model_card import repeated_sentence
from zoo.sealed import digest
from zoo.spec.faults import located
from zoo.spec.spec import Overrides, Spec, SpecReader, given_document, load_document
from zoo.spec.starter import resolve
from zoo.spec.strict_yaml import Document
from zoo.training.distributed import process_group
from zoo.training.engine import Listener
from zoo.training.threads import threads_for, torch_threads

SpecLike = str | PathLike[str] | Mapping[str, Any] | Spec
"""A spec's file, the name of a starter spec, nested dictionaries, or the spec of another run."""


def build(
    spec: SpecLike,
    overrides: Overrides | None = None,
    *,
    data: Dataset | None = None,
    out: str | PathLike[str] | None = None,
    device: str = "auto",
    resume: bool = False,
    progress: bool = False,
) -> Run:
    """Train the model of a spec, evaluate it and save the run, as ``zoo build`` does.

    The state of torch's random numbers and its number of threads are the same after the call as before.

    Args:
        spec: the path of a YAML file, the name of a starter spec such as ``gru``, a spec as nested dictionaries, or
            ``run.spec`` of another run.
        overrides: fields to set, as in ``{"training.epochs": 3}``, or ``["training.epochs=3"]`` with values in YAML.
        data: sequences in memory in place of the spec's data; see `zoo.Dataset.from_arrays`. The part ``data`` of the
            spec may then be missing and has no effect. The run records a hash of the arrays, not the arrays: no
            command can build it again, and ``resume`` needs the same arrays.
        out: folder of the run; by default ``runs/NAME``, or ``runs/NAME-2`` and so on if that exists.
        device: ``cpu``, ``cuda``, ``cuda:1`` and the like; ``auto`` takes a GPU if there is one.
        resume: whether to continue the run at ``out``, or the newest run of the spec's name.
        progress: whether to show a bar with the remaining time, on a terminal or in a notebook; elsewhere a line on
            stderr for each epoch.

    Returns:
        The finished run. Its ``warnings`` list what ``zoo build`` would print as warnings.

    Raises:
        SpecError: the spec has faults; ``faults`` lists all of them.
        DataError: the data cannot be read, or do not fit their signature.
        UsageError: an argument is invalid, ``out`` exists, or there is no run to resume.
        RunError: another process works on the run, or something cannot be written.
        TrainingError: the loss is not finite, or the memory is too small.
        CellError: a cell does not keep the contract of `zoo.Cell`.
        Interrupted: a signal stopped the training after a checkpoint was written; ``resume`` continues it.
    """
    registry = load_registry()
    with activity(screen() if progress else None, "data") as report, reporting_to(report):
        plan = plan_of(spec, overrides or (), registry, data, resume=resume)
    warnings = [*(f"{fault} (left out)" for fault in registry.faults), *warnings_of(plan)]

    def listener(_: folder.Run, __: torch.device) -> Silence:
        return watch(screen(), plan.spec.training.epochs, plan.steps, plan.metric) if progress else Silence()

    path = None if out is None else Path(out)
    run, _ = train(plan, registry, path, device, resume=resume, listener=listener, warn=warnings.append)
    return Run(run.path, registry, tuple(warnings))


def plan_of(
    spec: SpecLike, overrides: Overrides, registry: Registry, data: Dataset | None = None, *, resume: bool = False
) -> Plan:
    """Validate a spec, load its data or check those given, and create the untrained model.

    Args:
        spec: see `build`.
        overrides: see `build`.
        registry: the usable plugins.
        data: see `build`.
        resume: see `build`.

    Raises:
        SpecError, DataError, UsageError, CellError: see `build`.
    """
    with checked(spec, overrides, registry, data) as (resolved, given):
        return prepare(resolved, registry, given, resume=resume)


@contextmanager
def checked(
    spec: SpecLike, overrides: Overrides, registry: Registry, data: Dataset | None
) -> Iterator[tuple[Spec, Dataset | None]]:
    """Validate a spec and the data given for it; inside the block a `SpecError` gets its place in the file.

    Arguments and errors are those of `plan_of`.
    """
    document = _document(spec, overrides)
    if data is not None:
        data = _given(document, data)
    resolved = SpecReader.of(registry).validate(document)
    with located(document):
        yield resolved, data


def warnings_of(plan: Plan) -> list[str]:
    """Return what is suspect in the data of a plan, a line each."""
    if not any(plan.dataset.repeated.values()):
        return []
    return [f"{repeated_sentence(plan.dataset.repeated, plan.sizes)}: a model may have memorised them"]


def _document(spec: SpecLike, overrides: Overrides) -> Document:
    if isinstance(spec, Spec):
        return given_document(spec.to_dict(), overrides)
    if isinstance(spec, Mapping):
        return given_document(spec, overrides)
    if isinstance(spec, str | PathLike):
        return load_document(resolve(Path(spec)), overrides)
    raise UsageError(f"spec: expected a path, a name or a dictionary, got a {type(spec).__name__}")


def _given(document: Document, data: Dataset) -> Dataset:
    """Check the data of a program and enter them into the spec; return them with an honest description."""
    if not isinstance(data, Dataset):
        raise UsageError(
            f"data: expected a zoo.Dataset, got a {type(data).__name__}; make one with zoo.Dataset.from_arrays(x, y)"
        )
    check_dataset(data)
    places = document.places.items()
    if override := next((place for path, place in places if path[:1] == ("data",) and place.line == 0), None):
        raise UsageError(f"{override}: has no effect, since the data are given as arrays; leave it out")
    assert isinstance(document.value, dict)
    document.value["data"] = {"name": ARRAYS, "sha256": fingerprint(data)}
    return replace(data, description=f"Given as arrays by a Python program. {data.description}".strip())


def fingerprint(data: Dataset) -> str:
    """Return the SHA-256 of all tensors of a data set and of its signature, in hexadecimal."""
    tensors: dict[str, Tensor] = {}
    for name in ("train", "validation", "test"):
        part: Split = getattr(data, name)
        values = {"x": part.x, "y": part.y, "lengths": part.lengths, "naive": part.naive, "seasonal": part.seasonal}
        tensors |= {f"{name}.{key}": value.detach().cpu() for key, value in values.items() if value is not None}
    return digest(tensors, json.dumps(data.signature.to_dict()))


def train(
    plan: Plan,
    registry: Registry,
    out: Path | None,
    device: str,
    *,
    resume: bool,
    listener: Callable[[folder.Run, torch.device], AbstractContextManager[Listener]],
    warn: Callable[[str], None],
) -> tuple[folder.Run, dict[str, Any]]:
    """Choose the run's folder and the device, and train; under torchrun in a group of processes.

    Args:
        plan: see `plan_of`.
        registry: the usable plugins.
        out: see `build`.
        device: see `build`.
        resume: see `build`.
        listener: called by the leader of the group, once folder and device are chosen; returns what receives progress.
        warn: called with each warning, a line of text.

    Returns:
        The run, and the content of its config.json, which is empty on processes other than the leader.

    Raises:
        UsageError, RunError, TrainingError, Interrupted: see `build`.
    """
    with torch_threads(threads_for(plan.model, plan.spec.training.batch_size)), process_group() as group:
        target = pick_device(device)
        # One process alone reads the disk: the others could find the folder that it has just created.
        run = group.from_leader(lambda: choose_run(plan.spec, out, resume, registry))
        receiver = listener(run, target) if group.leads else Silence()
        with torch.random.fork_rng([target] if target.type == "cuda" else []), receiver as watching:
            return run, train_and_write(plan, run, registry, target, group, watching, warn)
