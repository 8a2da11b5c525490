"""The first main job: from a spec to a trained run on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

from zoo.data.dataset import Dataset, Split
from zoo.errors import RunError, TrainingError, UsageError
from zoo.files import json_safe, remove_stale, unwritable, write_atomically
from zoo.jobs.pictures import draw
from zoo.memory import require_memory
from zoo.nn.cell_checks import check_cells
from zoo.nn.model import Model
from zoo.plugins.registry import Registry
from zoo.run.baselines import answers_never_change, naive_metrics, not_beaten
from zoo.run.lock import LOCK, locked
from zoo.run.model_card import write_card
from zoo.run.run import Run, first_model, next_run, runs_named
from zoo.spec.spec import Spec, part_name
from zoo.tasks.task import Task
from zoo.training.distributed import Group, local_rank_and_size
from zoo.training.engine import Engine, Listener, chosen_metric, evaluate, steps_in_epoch
from zoo.training.progress import EpochRecord
from zoo.versions import versions

SAMPLE = 256
"""Test sequences kept with a run."""


@dataclass(frozen=True)
class Plan:
    """A spec with its data loaded and its model put together, before any training."""

    spec: Spec
    dataset: Dataset
    task: Task
    model: Model

    @property
    def steps(self) -> int:
        """Steps of one epoch."""
        return steps_in_epoch(self.dataset.train, self.spec.training)

    @property
    def sizes(self) -> dict[str, int]:
        """Sequences of each part."""
        data = self.dataset
        return {"train": len(data.train), "validation": len(data.validation), "test": len(data.test)}

    @property
    def metric(self) -> str:
        """The validation metric that chooses the best weights."""
        return chosen_metric(self.task, self.spec.training)

    @property
    def reported(self) -> str:
        """The metric that naive predictors are measured by too: the same one, where the test part has it."""
        return self.metric if self.metric in self.task.better else next(iter(self.task.better))


def prepare(spec: Spec, registry: Registry) -> Plan:
    """Load the data and put the model together with its first weights.

    Raises:
        DataError: where the data cannot be read.
        SpecError: where the options do not fit each other.
        CellError: where a cell does not keep the contract of `zoo.Cell`.
    """
    dataset = registry.data[part_name(spec.data)]().load(spec.data)
    task = registry.tasks[part_name(spec.task)](spec.task, dataset.signature)
    chosen_metric(task, spec.training)  # a wrong name must not wait for the engine
    model = first_model(spec, task, registry)
    rows, width = min(spec.training.batch_size, len(dataset.train)), sum(layer.output_size for layer in model.layers())
    require_memory(
        4 * rows * dataset.time * width,  # what the backward pass needs of each layer besides, only its cell knows
        f"the outputs of all layers for a batch of {rows:,} sequences of {dataset.time:,} steps",
        {"training.batch_size": rows, "architecture.hidden_size": width},
    )
    check_cells(model.layers())
    return Plan(spec, dataset, task, model)


def describe(plan: Plan) -> dict[str, Any]:
    """Parameter count, the shape after each part of the model, and what the data are."""
    model, signature = plan.model, plan.dataset.signature
    tokens = len(signature.vocabulary)
    shapes = {"x": f"(batch, time)  {tokens:,} tokens" if tokens else f"(batch, time, {signature.features})"}
    shapes["encoder"] = f"(batch, time, {model.encoder.output_size})  {type(model.encoder).__name__}"
    for index, layer in enumerate(model.layers()):
        kind = "fused" if layer.fused else "cell"
        shapes[f"layer_{index}"] = f"(batch, time, {layer.output_size})  {layer.direction}, {kind}"
    if model.pooling is not None:
        shapes["pooling"] = f"(batch, {model.stack.output_size})  {model.pooling}"
    shapes["scores"] = f"(batch, {'time, ' if model.by_step else ''}{plan.task.outputs})"
    return {
        "parameters": model.parameter_count,
        "shapes": shapes,
        "steps_in_epoch": plan.steps,
        "data": plan.dataset.description,
        "sizes": plan.sizes,
        "repeated": dict(plan.dataset.repeated),
    }


def pick_device(name: str) -> torch.device:
    """``auto`` is the GPU where torch sees one; each process of a group takes a GPU of its own.

    Raises:
        UsageError: where the device does not exist, or there are fewer GPUs than processes.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    rank, processes = local_rank_and_size()
    if name == "cuda" and processes > 1:
        if (gpus := torch.cuda.device_count()) < processes:
            raise UsageError(f"--device: {processes} processes need a GPU each and there are {gpus}; add --device cpu")
        name = f"cuda:{rank}"
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()  # a device without memory ('meta') cannot give a number back
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"--device {name}: cannot be used here ({reason}); try 'cpu' or 'auto'") from error
    return device


def choose_run(spec: Spec, out: Path | None, resume: bool, folder: Path = Path("runs")) -> Run:
    """Where to build: a new folder, or with ``resume`` the newest of this name.

    Raises:
        UsageError: where ``out`` is taken or there is nothing to resume.
        RunError: where the spec is not the one that the run was started with.
    """
    if resume:
        runs = runs_named(spec.name, folder) if out is None else [Run(out)]
        if not runs or not runs[-1].spec_file.is_file():
            raise UsageError(f"--resume: there is no run {out or folder / spec.name}; leave --resume out to start one")
        _refuse_changes(spec, runs[-1])
        return runs[-1]
    if out is None:
        return next_run(spec.name, folder)
    if out.exists() and (not out.is_dir() or any(file.name != LOCK for file in out.iterdir())):
        raise UsageError(f"--out {out}: exists already; add --resume to go on with it, or choose another folder")
    return Run(out)


def _refuse_changes(spec: Spec, run: Run) -> None:
    before = run.spec_file.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = zip_longest(before, spec.to_yaml().splitlines(), fillvalue="nothing")
    for number, (old, new) in enumerate(lines, 1):
        if old != new:
            raise RunError(
                f"{run.spec_file}:{number}: has {old.strip()!r} where the spec given has {new.strip()!r}, so training "
                "cannot go on; give the same spec and overrides, name another run with --out, or leave --resume out"
            )


@contextmanager
def _memory_in_words() -> Iterator[None]:
    """One line for what torch and NumPy raise where memory runs out.

    Raises:
        TrainingError
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch's allocator of the CPU raises a bare RuntimeError.
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "DefaultCPUAllocator" not in str(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise TrainingError(
            f"the memory is too small for this training ({reason}); lower training.batch_size"
        ) from error


@_memory_in_words()
def build(
    plan: Plan,
    run: Run,
    registry: Registry,
    device: torch.device,
    group: Group,
    listener: Listener,
    warn: Callable[[str], None],
) -> dict[str, Any]:
    """Train, evaluate on the test part, and write the run. Returns what config.json holds.

    Where the run's folder holds a checkpoint, training goes on from it.

    Raises:
        RunError: where another process works on the run, or something cannot be written.
    """
    with ExitStack() as until_done:
        # The leader alone writes, and holds the lock for all.
        group.from_leader(lambda: _begin(plan, run, until_done))
        return _train(plan, run, registry, device, group, listener, warn)


def _begin(plan: Plan, run: Run, until_done: ExitStack) -> None:
    """Take the run's folder, and write the spec into it."""
    until_done.enter_context(locked(run.path, "zoo build"))
    remove_stale(run.path)
    run.create(plan.spec)


def _train(
    plan: Plan,
    run: Run,
    registry: Registry,
    device: torch.device,
    group: Group,
    listener: Listener,
    warn: Callable[[str], None],
) -> dict[str, Any]:
    def after_epoch(record: EpochRecord) -> None:
        try:
            with run.metrics_file.open("a", encoding="utf-8") as file:
                file.write(_line(record))
        except OSError as error:
            raise unwritable(run.metrics_file, error) from error
        for fault in registry.after_epoch(record):
            warn(fault)

    engine = Engine(
        plan.model.to(device),
        plan.task,
        plan.dataset.train.to(device),
        plan.dataset.validation.to(device),
        plan.spec.training,
        run.checkpoints,
        group=group,
        listener=listener,
        after_epoch=after_epoch,
    )
    engine.restore(warn)
    # A run that was killed may have written down epochs after its newest checkpoint, and the last one in part.
    group.from_leader(lambda: _write_history(run, engine.history))
    engine.fit()
    return _finish(plan, run, engine, warn) if group.leads else {}


def _write_history(run: Run, history: list[EpochRecord]) -> None:
    write_atomically(run.metrics_file, "".join(map(_line, history)))


def _line(record: EpochRecord) -> str:
    return json.dumps(json_safe(asdict(record))) + "\n"


def _finish(plan: Plan, run: Run, engine: Engine, warn: Callable[[str], None]) -> dict[str, Any]:
    """Everything that a run holds once it is trained."""
    model, dataset, history = engine.model, plan.dataset, engine.history
    metrics, statistics = evaluate(model, plan.task, dataset.test.to(model.device))
    sample = _sample(dataset.test)
    values = {
        "name": plan.spec.name,
        "description": plan.spec.description,
        "architecture": part_name(plan.spec.architecture),
        "task": part_name(plan.spec.task),
        "parameters": model.parameter_count,
        "signature": dataset.signature.to_dict(),
        "time": dataset.time,
        "data": dataset.description,
        "sizes": plan.sizes,
        "repeated": dict(dataset.repeated),
        "metric": engine.metric,
        **_outcome(plan, history, metrics),
        "constant": answers_never_change(model, sample),
        "device": str(model.device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    _write_history(run, history)  # once more, safe from a power cut
    run.save_model(model, sample)
    draw(run, model, dataset, history, engine.metric, statistics)
    run.write_config(values)
    write_card(run)
    if values["constant"]:
        warn("the model gives the same answer for every test sequence, so it has learnt nothing; try another seed")
    elif values["not_beaten"]:
        warn(f"on the test part the model is no better than {' and '.join(values['not_beaten'])}: see {run.card_file}")
    return values


def _outcome(plan: Plan, history: list[EpochRecord], metrics: dict[str, float]) -> dict[str, Any]:
    """How the training went, and what the result is worth."""
    best = next(record for record in reversed(history) if record.best)
    naive = naive_metrics(plan.task, plan.dataset.train, plan.dataset.test)
    return {
        "epochs": len(history),
        "best_epoch": best.epoch,
        "train_loss": best.train_loss,
        "validation": best.validation,
        "test": metrics,
        "baselines": naive,
        "not_beaten": not_beaten(plan.task, plan.reported, metrics, naive),
        "training_seconds": sum(record.seconds for record in history),
    }


def _sample(test: Split) -> Split:
    """Test sequences, evenly spread over the test part."""
    return test.take(torch.linspace(0, len(test) - 1, min(SAMPLE, len(test))).long().unique())
