"""Training of a spec's model into a run on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from zoo.data.dataset import Dataset, Split
from zoo.errors import SpecError, TrainingError, UsageError
from zoo.files import json_safe, remove_stale, unwritable, write_atomically
from zoo.jobs.pictures import draw_pictures
from zoo.memory import require_memory
from zoo.nn.cell_checks import check_cells
from zoo.nn.model import Model
from zoo.plugins.registry import Registry
from zoo.run.baselines import compared_metric, has_constant_output, naive_metrics, not_beaten
from zoo.run.lock import locked
from zoo.run.model_card import write_card
from zoo.run.run import Run, first_model
from zoo.run.start import Start, start_from
from zoo.run.vectors import Vectors, recorded_vectors, take_vectors
from zoo.spec.spec import Spec, part_name
from zoo.tasks.task import Task
from zoo.training.distributed import Group, local_rank_and_size
from zoo.training.engine import Engine, Listener, chosen_metric, evaluate, steps_in_epoch
from zoo.training.freeze import freeze
from zoo.training.progress import EpochRecord
from zoo.versions import versions

SAMPLE = 256
"""Number of test sequences that a run keeps."""


@dataclass(frozen=True)
class Plan:
    """A spec with its loaded data and its untrained model."""

    spec: Spec
    dataset: Dataset
    task: Task
    model: Model
    start: Start | None = None
    """What the model took from other weights; None for initial weights."""
    frozen: tuple[str, ...] = ()
    """Names of the parameters that training leaves as they are."""
    vectors: Vectors | None = None
    """What the encoder took from a file of vectors; None without one, and before a training is resumed."""

    @property
    def steps(self) -> int:
        """Number of training steps (batches) in an epoch."""
        return steps_in_epoch(self.dataset.train, self.spec.training)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of sequences in each part: ``train``, ``validation``, ``test``."""
        data = self.dataset
        return {"train": len(data.train), "validation": len(data.validation), "test": len(data.test)}

    @property
    def metric(self) -> str:
        """The validation metric that selects the best weights."""
        return chosen_metric(self.task, self.spec.training)

    @property
    def reported(self) -> str:
        """The metric for the comparison with naive predictors."""
        return compared_metric(self.metric, self.task.better)


def prepare(spec: Spec, registry: Registry, dataset: Dataset | None = None, *, resume: bool = False) -> Plan:
    """Load the data of a spec and create its model with initial weights.

    Args:
        spec: a validated spec.
        registry: gives the data source, the task and the architecture that the spec names.
        dataset: the data that a program gives in place of the spec's source; None to load them.
        resume: whether a training is resumed, whose checkpoint already has the vectors of the encoder.

    Returns:
        The input of `build`, whose cells have passed the checks of the contract of `zoo.Cell`; with the vectors of
        ``encoder.vectors``, the weights of ``training.start_from``, and no gradients for ``training.freeze``.

    Raises:
        DataError: where the data cannot be read.
        SpecError: where the options do not fit each other.
        CellError: where a cell does not keep the contract of `zoo.Cell`.
    """
    dataset, task = load_data(spec, registry, dataset)
    model = first_model(spec, task, registry)
    rows, width = min(spec.training.batch_size, len(dataset.train)), sum(layer.output_size for layer in model.layers())
    require_memory(
        4 * rows * dataset.time * width,  # a lower bound: what else the backward pass keeps depends on the cell
        f"the outputs of all layers for a batch of {rows:,} sequences of {dataset.time:,} steps",
        {"training.batch_size": rows, "architecture.hidden_size": width},
    )
    check_cells(model.layers())
    vectors = None if resume else take_vectors(model, spec.encoder, dataset.signature)
    source = spec.training.start_from
    start = None if source is None else start_from(model, source, dataset.signature, registry)
    if vectors is not None and start is not None and any(name.startswith("encoder.") for name in start.taken):
        raise SpecError(f"encoder.vectors: {source} has the encoder's weights too; leave one of the two out")
    return Plan(spec, dataset, task, model, start, freeze(model, spec.training.freeze), vectors)


def load_data(spec: Spec, registry: Registry, dataset: Dataset | None = None) -> tuple[Dataset, Task]:
    """Load the data of a spec, and fit the task to them.

    Args:
        spec: see `prepare`.
        registry: see `prepare`.
        dataset: see `prepare`.

    Raises:
        DataError: where the data cannot be read.
        SpecError: where the options of the task do not fit the data.
    """
    if dataset is None:
        dataset = registry.data[part_name(spec.data)]().load(spec.data)
    task = registry.tasks[part_name(spec.task)](spec.task, dataset.signature)
    task.fit(dataset.train)
    chosen_metric(task, spec.training)  # reports a wrong name before the engine does
    return dataset, task


def describe(plan: Plan) -> dict[str, Any]:
    """Return a summary of the model and its data, ready for JSON.

    Args:
        plan: see `prepare`.

    Returns:
        ``parameters``, their number; ``shapes``, the output shape of each part of the model as text;
        ``steps_in_epoch``; ``data``, a description; ``sizes``, the number of sequences in each part; ``repeated``, the
        number of sequences of the other parts that also occur in the training part; ``started_from``, what was taken
        from other weights, or None; ``frozen``, the names of the frozen parameters.
    """
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
        **_origin(plan),
    }


def _origin(plan: Plan) -> dict[str, Any]:
    """Return where the weights of a plan come from and which of them are frozen, for JSON."""
    return {
        "vectors": None if plan.vectors is None else plan.vectors.to_dict(),
        "started_from": None if plan.start is None else plan.start.to_dict(),
        "frozen": list(plan.frozen),
    }


def pick_device(name: str) -> torch.device:
    """Return the torch device of a name; in a group of processes each gets its own GPU.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1`` and the like, or ``auto``: the GPU if torch finds one, else the CPU.

    Raises:
        UsageError: where the device does not exist, or there are fewer GPUs than processes.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    rank, processes = local_rank_and_size()
    if name == "cuda" and processes > 1:
        if (gpus := torch.cuda.device_count()) < processes:
            raise UsageError(f"device: {processes} processes need a GPU each and there are {gpus}; take the device cpu")
        name = f"cuda:{rank}"
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()  # fails on a device without memory ('meta')
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"device {name}: cannot be used here ({reason}); try 'cpu' or 'auto'") from error
    return device


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Turn the errors of torch and NumPy for exhausted memory into a `TrainingError` of one line."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch's CPU allocator raises a plain RuntimeError.
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "DefaultCPUAllocator" not in str(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise TrainingError(
            f"the memory is too small for this training ({reason}); lower training.batch_size"
        ) from error


@_memory_errors()
def build(
    plan: Plan,
    run: Run,
    registry: Registry,
    device: torch.device,
    group: Group,
    listener: Listener,
    warn: Callable[[str], None],
) -> dict[str, Any]:
    """Train the model, evaluate it on the test part, and write the run.

    If the run's folder contains a checkpoint, training continues from it.

    Args:
        plan: see `prepare`. Its model is trained in place.
        run: the run to write; see `choose_run`.
        registry: gives the plugins to call after each epoch.
        device: the device to train on.
        group: the processes that train together. The leader alone writes.
        listener: called with the progress of the training, on the leader alone.
        warn: called with each warning, a line of text.

    Returns:
        The content of config.json; empty on processes other than the leader.

    Raises:
        RunError: where another process works on the run, or something cannot be written.
        TrainingError: where the loss is not finite, or the memory is too small.
        Interrupted: where a signal stopped the training, after a checkpoint was written.
    """

    def after_epoch(record: EpochRecord) -> None:
        try:
            with run.metrics_file.open("a", encoding="utf-8") as file:
                file.write(_line(record))
        except OSError as error:
            raise unwritable(run.metrics_file, error) from error
        for fault in registry.after_epoch(record):
            warn(fault)

    with ExitStack() as stack:
        resumed = group.from_leader(lambda: _begin(plan, run, stack))
        plan = replace(plan, vectors=_vectors(plan, run, resumed))
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
        # A killed run may have recorded epochs after its newest checkpoint, the last of them in part.
        group.from_leader(lambda: _write_history(run, engine.history))
        engine.fit()
        return _finish(plan, run, engine, warn) if group.leads else {}


def _begin(plan: Plan, run: Run, stack: ExitStack) -> bool:
    """Lock the run's folder until ``stack`` is closed, write the spec, and return whether there is a checkpoint."""
    stack.enter_context(locked(run.path, "zoo build"))
    remove_stale(run.path)
    if plan.start is not None:
        plan.start.record(run)
    if plan.vectors is not None:
        plan.vectors.record(run)
    run.create(plan.spec)
    return bool(run.checkpoints.files())


def _vectors(plan: Plan, run: Run, resumed: bool) -> Vectors | None:
    """Return what the encoder takes from a file of vectors, or has taken before a training is resumed."""
    if plan.vectors is not None:
        return plan.vectors
    if resumed:
        return recorded_vectors(run, plan.spec.encoder)
    return take_vectors(plan.model, plan.spec.encoder, plan.dataset.signature)


def _write_history(run: Run, history: list[EpochRecord]) -> None:
    """Write metrics.jsonl anew."""
    write_atomically(run.metrics_file, "".join(map(_line, history)))


def _line(record: EpochRecord) -> str:
    return json.dumps(json_safe(asdict(record))) + "\n"


def _finish(plan: Plan, run: Run, engine: Engine, warn: Callable[[str], None]) -> dict[str, Any]:
    """Write the results of a finished training into the run and return the content of config.json."""
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
        "source": part_name(plan.spec.data),
        "data": dataset.description,
        "sizes": plan.sizes,
        "repeated": dict(dataset.repeated),
        **_origin(plan),
        "metric": engine.metric,
        **_outcome(plan, engine, metrics),
        "classes": plan.task.table(statistics),
        "constant": has_constant_output(model, sample),
        "device": str(model.device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    _write_history(run, history)  # again, synced to disk
    run.save_model(model, sample)
    draw_pictures(run, model, dataset, history, engine.metric, statistics)
    run.write_config(values)
    write_card(run)
    if values["constant"]:
        warn("the model makes the same prediction for every test sequence, so it has learnt nothing; try another seed")
    elif values["not_beaten"]:
        warn(f"on the test part the model is no better than {' and '.join(values['not_beaten'])}: see {run.card_file}")
    return values


def _outcome(plan: Plan, engine: Engine, metrics: dict[str, float]) -> dict[str, Any]:
    """Return the results of the training and their comparison with naive predictors, for config.json."""
    history = engine.history
    best = next(record for record in reversed(history) if record.best)
    validation = best.validation
    if not validation.keys() >= set(plan.task.ranked):  # the model has the best weights again
        validation = {**evaluate(engine.model, plan.task, engine.validation)[0], **validation}
    naive = naive_metrics(plan.task, plan.dataset.train, plan.dataset.test)
    return {
        "epochs": len(history),
        "best_epoch": best.epoch,
        "train_loss": best.train_loss,
        "validation": validation,
        "test": metrics,
        "baselines": naive,
        "not_beaten": not_beaten(plan.task, plan.reported, metrics, naive),
        "training_seconds": sum(record.seconds for record in history),
    }


def _sample(test: Split) -> Split:
    """Return `SAMPLE` sequences evenly spread over the test part, or all if there are fewer."""
    return test.take(torch.linspace(0, len(test) - 1, min(SAMPLE, len(test))).long().unique())
