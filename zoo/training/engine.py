"""The engine: the training loop of every architecture."""

from __future__ import annotations

import math
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from zoo.data.dataset import Split
from zoo.errors import Interrupted, RunError, SpecError, TrainingError
from zoo.nn.model import Model
from zoo.tasks.task import Statistics, Task
from zoo.training.batches import evaluation_batches, training_order
from zoo.training.checkpoint import CheckpointFolder
from zoo.training.config import TrainingConfig
from zoo.training.distributed import Group
from zoo.training.interrupts import Interrupts
from zoo.training.progress import TRAIN_LOSS, EpochRecord, Progress, from_checkpoint, to_checkpoint

EVALUATION_BATCH = 128
"""Sequences in a batch of an evaluation: large enough to be fast, small enough to need less memory than training."""
REPORT_SECONDS = 0.5
"""Seconds between two checks and reports of the loss; each waits for the device."""
EPOCH_CHECKPOINT_SECONDS = 1.0
"""Age in seconds of the newest checkpoint from which the end of an epoch writes another, since an epoch may take only
milliseconds, as long as writing a checkpoint. The end of the training always writes one."""
CHECKPOINT_SECONDS = 60.0
"""Age in seconds of the newest checkpoint from which a step within an epoch writes another."""


class Listener(Protocol):
    """Receiver of progress reports."""

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Receive the mean loss of the current epoch so far, about twice a second.

        Args:
            epoch: number of the epoch, from 1.
            step: completed steps of the epoch.
            loss: mean loss over the rows of these steps.
        """

    def epoch(self, record: EpochRecord) -> None:
        """Receive the record of a completed epoch."""


def steps_in_epoch(train: Split, config: TrainingConfig) -> int:
    """Return the number of batches that hold every row once; the last batch may be smaller."""
    return math.ceil(len(train) / config.batch_size)


def chosen_metric(task: Task, config: TrainingConfig) -> str:
    """Return the name of the metric that selects the best weights: that of the spec, or the first of the task.

    Raises:
        SpecError: the task has no such metric, or not with its options and data.
    """
    metric, metrics = config.metric or next(iter(task.better)), (*task.known_metrics, TRAIN_LOSS)
    if metric not in metrics:
        raise SpecError(f"training.metric: {metric!r} is not known; known: {', '.join(metrics)}")
    return metric


@torch.inference_mode()
def evaluate(model: Model, task: Task, split: Split, *, ranked: bool = True) -> tuple[dict[str, float], Statistics]:
    """Evaluate a model on a split in evaluation mode, and restore its mode.

    Args:
        model: the model.
        task: computes statistics and metrics.
        split: data to evaluate on, on the model's device.
        ranked: whether to compute the metrics that need all scores at once too; see `zoo.Task.ranking`.

    Returns:
        The metrics by name, and the statistics from which they are computed.
    """
    training = model.training
    model.eval()
    result = score(task, split, lambda batch, _: model(batch.x, batch.lengths), ranked=ranked)
    model.train(training)
    return result


def score(
    task: Task, split: Split, scores: Callable[[Split, Tensor | slice], Tensor], *, ranked: bool = True
) -> tuple[dict[str, float], Statistics]:
    """Evaluate the scores that a function gives for a split.

    Args:
        task: computes statistics and metrics.
        split: data to evaluate on.
        scores: returns the scores of a batch; its second argument holds the row numbers of the batch in the split.
        ranked: whether to keep all scores for the metrics that need them at once; see `zoo.Task.ranking`.

    Returns:
        The metrics by name, and the statistics from which they are computed.
    """
    total: Statistics = {}
    kept: list[tuple[Tensor, Tensor]] = []
    for batch, rows in evaluation_batches(split, EVALUATION_BATCH):
        own = scores(batch, rows)
        if ranked and task.ranked:
            kept.append((own.cpu(), batch.y.cpu()))
        for name, value in task.for_batch(batch.x).statistics(own, batch.y).items():
            total[name] = total[name] + value if name in total else value
    ranking = task.ranking(*map(torch.cat, zip(*kept, strict=True))) if kept else {}
    return task.metrics(total) | ranking, total


class Engine:
    """Training of one model.

    Args:
        model: the model on its device. It is trained in place, and holds the best weights at the end.
        task: computes the loss and the metrics.
        train: training data, on the model's device.
        validation: data of the metric that selects the best weights, on the model's device.
        config: the spec's ``training``.
        checkpoints: folder for the checkpoints.
        group: processes that train together.
        listener: receives progress, on the leader only.
        after_epoch: called with each epoch's record, on the leader only. A resumed training repeats, and reports again,
            the epochs after its newest checkpoint.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        train: Split,
        validation: Split,
        config: TrainingConfig,
        checkpoints: CheckpointFolder,
        *,
        group: Group,
        listener: Listener,
        after_epoch: Callable[[EpochRecord], None],
    ) -> None:
        self.model, self.task, self.train_split, self.validation = model, task, train, validation
        self.config, self.checkpoints, self.group = config, checkpoints, group
        self.listener, self.after_epoch = listener, after_epoch
        self.metric = chosen_metric(task, config)
        self.steps = steps_in_epoch(train, config)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = config.optimizer.create(trained)
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        """The state_dict of the best epoch so far."""
        self.losses = torch.zeros(self.steps, device=model.device)
        """(steps,) summed loss of the rows of each step of the epoch; zero for steps to come."""
        self._epoch_began = self._reported = self._saved = time.monotonic()

    @property
    def history(self) -> list[EpochRecord]:
        """One record for each completed epoch."""
        return self.progress.history

    def fit(self) -> None:
        """Train to the end and leave the best weights in the model.

        Raises:
            TrainingError: the loss or a weight is not finite. Values that are not finite are never written to disk.
            Interrupted: SIGTERM or Ctrl-C arrived; a checkpoint was written first.
        """
        wrapped = self.group.wrap(self.model)
        with Interrupts() as interrupts, _deterministic_kernels(self.config.deterministic):
            while not self._finished():
                self.train_epoch(wrapped, interrupts)
                self._end_epoch()
                self._between_steps(interrupts)
        self.model.load_state_dict(self.best)

    def train_epoch(self, wrapped: nn.Module, interrupts: Interrupts) -> None:
        """Train one epoch, or the rest of the epoch in which a checkpoint was written."""
        progress, size = self.progress, self.config.batch_size
        order = self._order(progress.epoch)
        self.model.train()
        self._epoch_began = time.monotonic()
        while progress.step < self.steps:
            batch = order[progress.step * size : (progress.step + 1) * size]
            self.losses[progress.step] = self._step(wrapped, *self.group.share(batch)) * len(batch)
            progress.step += 1
            self._between_steps(interrupts)

    def _between_steps(self, interrupts: Interrupts) -> None:
        """Report the loss, write a checkpoint or stop, each if it is due.

        All processes of a group do the same, since each would wait for one that has stopped.
        """
        now = time.monotonic()
        stop, report, save = self.group.largest(
            interrupts.received or 0, now - self._reported > REPORT_SECONDS, now - self._saved > CHECKPOINT_SECONDS
        )
        if report:
            self._report_loss()
        if stop or save:
            self._save()
        if stop:
            epoch, step = self.progress.epoch, self.progress.step
            place = f"in epoch {epoch + 1} after step {step} of {self.steps}" if step else f"after epoch {epoch}"
            raise Interrupted(stop, f"stopped {place}; the state is saved: go on with --resume")

    def _step(self, wrapped: nn.Module, rows: Tensor, weight: float) -> Tensor:
        """Take one optimiser step on the given rows, and return the mean loss of the whole batch.

        Args:
            wrapped: the model, wrapped for the group.
            rows: row numbers of this process.
            weight: weight of their mean loss; see `Group.share`.
        """
        done = self.progress.epoch * self.steps + self.progress.step
        lr = self._lr(done)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = lr
        # The random numbers of a step follow from its number, so that a resumed run draws the same ones. A process of a
        # group draws for its own rows: with dropout a group differs from a single process that computes all rows.
        _seed(self.model.device, f"{self.config.seed} {done} {self.group.rank}")
        device, batch = self.model.device.type, self.train_split.take(rows)
        with torch.autocast(device, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            loss = self.task.for_batch(batch.x).loss(wrapped(batch.x, batch.lengths), batch.y) * weight
        self.optimizer.zero_grad()
        loss.backward()
        if self.config.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        return self.group.total(loss.detach())

    def _report_loss(self) -> None:
        """Check that the losses are finite, and report the mean loss of the epoch so far."""
        self._reported = time.monotonic()
        self._check_losses()
        if self.group.leads and self.progress.step:
            self.listener.step(self.progress.epoch + 1, self.progress.step, self._mean_loss())

    def _mean_loss(self) -> float:
        """Return the mean loss over the rows of the epoch so far."""
        return float(self.losses.sum()) / min(self.progress.step * self.config.batch_size, len(self.train_split))

    def _check_losses(self) -> None:
        finite = self.losses.isfinite()
        if not bool(finite.all()):
            raise self._diverged(int((~finite).nonzero()[0]) + 1, "loss")

    def _check(self) -> None:
        """Raise a `TrainingError` unless all losses, weights and optimiser slots are finite."""
        self._check_losses()
        slots = [value for state in self.optimizer.state.values() for value in state.values() if value is not None]
        if not all(bool(value.isfinite().all()) for value in (*self.model.parameters(), *slots)):
            raise self._diverged(self.progress.step, "weights' update")

    def _end_epoch(self) -> None:
        """Evaluate the model, keep its weights if they are the best, save if due, and report the epoch."""
        self._check()
        progress = self.progress
        ranked = self.metric in self.task.ranked
        metrics = self.group.from_leader(lambda: evaluate(self.model, self.task, self.validation, ranked=ranked)[0])
        if ranked and math.isnan(metrics[self.metric]):
            raise SpecError(
                f"training.metric: {self.metric!r} needs a class that only a part of the validation data has"
            )
        for name, value in metrics.items():
            if name in ("loss", self.metric) and not math.isfinite(value):
                raise self._diverged(self.steps, f"validation {name}")
        record = EpochRecord(
            epoch=progress.epoch + 1,
            train_loss=self._mean_loss(),
            validation=metrics,
            lr=self._lr((progress.epoch + 1) * self.steps - 1),
            seconds=progress.seconds + time.monotonic() - self._epoch_began,
            best=False,
        )
        if self._is_best(record):
            self.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
            record = replace(record, best=True)
        self.progress = Progress(progress.epoch + 1, history=[*progress.history, record])
        self.losses.zero_()
        due = time.monotonic() - self._saved > EPOCH_CHECKPOINT_SECONDS
        if any(self.group.largest(due, self._finished())):
            self._save()
        self.group.from_leader(lambda: self._report_epoch(record))

    def _report_epoch(self, record: EpochRecord) -> None:
        self.listener.epoch(record)
        self.after_epoch(record)

    def _rank(self, record: EpochRecord) -> tuple[float, float]:
        """Return a key that is larger for a better epoch: the metric, then the validation loss.

        The validation loss does not count if the training loss selects the best weights.
        """
        sign = 1 if self.task.better.get(self.metric) == "higher" else -1
        loss = 0.0 if self.metric == TRAIN_LOSS else record.validation["loss"]
        return sign * record.value_of(self.metric), -loss

    def _is_best(self, record: EpochRecord) -> bool:
        """Return whether no earlier epoch is better; of equal epochs the later is kept, since it has learnt longer."""
        best = next((earlier for earlier in reversed(self.history) if earlier.best), None)
        return best is None or self._rank(record) >= self._rank(best)

    def _finished(self) -> bool:
        """Return whether all epochs are done, or early stopping ends the training.

        An epoch equal to the best one is no improvement, although its weights are kept: otherwise a constant metric
        would never stop the training.
        """
        stopping, done = self.config.early_stopping, self.progress.epoch
        improved = max(self.history, key=self._rank).epoch if self.history else 0  # the first of equal epochs
        return done >= self.config.epochs or (stopping is not None and done - improved >= stopping.patience)

    def _lr(self, done: int) -> float:
        """Return the learning rate of the step after ``done`` completed steps."""
        return self.config.optimizer.lr * self.config.schedule.scale((done + 1) / (self.steps * self.config.epochs))

    def _order(self, epoch: int) -> Tensor:
        """Return the order in which an epoch takes the rows, the same on every process."""
        generator = torch.Generator().manual_seed(_hash(f"order {self.config.seed} {epoch}"))
        return training_order(self.train_split, self.config.batch_size, generator).to(self.model.device)

    def _diverged(self, step: int, what: str) -> TrainingError:
        """Return the error for a value that is not finite.

        Args:
            step: number of the step in the current epoch, from 1.
            what: name of the value.
        """
        epoch = self.progress.epoch
        done = epoch * self.steps + step
        advice = "lower training.optimizer.lr" + ("" if self.config.clip_norm else " or set training.clip_norm to 1")
        if done == 1 and what == "loss":  # no update precedes the first loss
            advice = "look for huge values in the training data"
        saved = "the checkpoints saved before are good; " if self.checkpoints.files() else ""
        return TrainingError(
            f"the {what} is not finite in epoch {epoch + 1}, step {step} (learning rate {self._lr(done - 1):.3g}); "
            f"{saved}{advice}"
        )

    def _save(self) -> None:
        """Write a checkpoint, unless a value is not finite."""
        self._check()
        self.group.from_leader(self._write)
        self._saved = time.monotonic()

    def _write(self) -> None:
        progress = self.progress
        running = time.monotonic() - self._epoch_began if progress.step else 0.0
        current = replace(progress, seconds=progress.seconds + running)
        checkpoint = to_checkpoint(current, self.model, self.optimizer, self.best, self.losses)
        self.checkpoints.save(progress.epoch * self.steps + progress.step, checkpoint)

    def restore(self, warn: Callable[[str], None]) -> None:
        """Resume from the newest undamaged checkpoint, if there is a checkpoint.

        Args:
            warn: called with a one-line message for each damaged checkpoint that is skipped.

        Raises:
            RunError: all checkpoints are damaged, or the checkpoint belongs to another model, dataset or training.
        """
        checkpoint = self.group.from_leader(lambda: self.checkpoints.newest(warn))
        if checkpoint is not None:
            try:
                self.progress, self.best = from_checkpoint(checkpoint, self.model, self.optimizer, self.losses)
            except (KeyError, RuntimeError, TypeError, ValueError) as error:
                raise RunError(
                    f"{self.checkpoints.path}: the checkpoint does not fit the model, the data or the training of the "
                    "spec; undo the change made since, or build again without --resume"
                ) from error


def _hash(text: str) -> int:
    return zlib.crc32(text.encode())  # torch's CPU generator uses 32 bits of its seed


def _seed(device: torch.device, text: str) -> None:
    # torch.manual_seed would also seed unused devices, which takes longer than a small step.
    torch.default_generator.manual_seed(_hash(text))
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(_hash(text))


@contextmanager
def _deterministic_kernels(enabled: bool) -> Iterator[None]:
    """Restrict torch to deterministic kernels inside the block, if ``enabled``."""
    before = torch.are_deterministic_algorithms_enabled()
    if enabled:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it
    torch.use_deterministic_algorithms(enabled or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
