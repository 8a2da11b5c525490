"""The engine: one training loop for every architecture."""

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
"""Large enough to be fast, small enough that evaluation never needs more memory than training did."""
LOOK_SECONDS = 0.5
"""How often the loop looks at the loss: each look waits for the device."""
EPOCH_CHECKPOINT_SECONDS = 1.0
"""How old the newest checkpoint is, at least, when the end of an epoch is checkpointed: writing one takes milliseconds,
and so may an epoch. The end of the training always is."""
CHECKPOINT_SECONDS = 60.0
"""How old the newest checkpoint may become before the middle of an epoch is checkpointed."""


class Listener(Protocol):
    """Whoever wants to see training happen."""

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Called about twice a second; epoch from 1, step counted within the epoch."""

    def epoch(self, record: EpochRecord) -> None:
        """Called after each epoch."""


def steps_in_epoch(train: Split, config: TrainingConfig) -> int:
    """Batches that hold every row once; the last one may be smaller."""
    return math.ceil(len(train) / config.batch_size)


def chosen_metric(task: Task, config: TrainingConfig) -> str:
    """The validation metric that chooses the best weights.

    Raises:
        SpecError: where the task has no such metric.
    """
    metric, known = config.metric or next(iter(task.better)), (*task.better, TRAIN_LOSS)
    if metric not in known:
        raise SpecError(f"training.metric: {metric!r} is not known; known: {', '.join(known)}")
    return metric


@torch.inference_mode()
def evaluate(model: Model, task: Task, split: Split) -> tuple[dict[str, float], Statistics]:
    """Metrics of a model on one part of the data, and the statistics that they follow from."""
    training = model.training
    model.eval()
    result = score(task, split, lambda batch, _: model(batch.x, batch.lengths))
    model.train(training)
    return result


def score(
    task: Task, split: Split, scores: Callable[[Split, Tensor | slice], Tensor]
) -> tuple[dict[str, float], Statistics]:
    """The same of anything that gives scores for a batch, which comes with its rows."""
    total: Statistics = {}
    for batch, rows in evaluation_batches(split, EVALUATION_BATCH):
        for name, value in task.statistics(scores(batch, rows), batch.y).items():
            total[name] = total[name] + value if name in total else value
    return task.metrics(total), total


class Engine:
    """Trains one model.

    Args:
        model: on its device; trained in place, and left with the best weights.
        task: gives the loss and the metrics.
        train: the data to learn from, on the model's device.
        validation: the data that choose the best weights.
        config: the spec's ``training``.
        checkpoints: where to keep the state.
        group: the processes that train together.
        listener: told of progress; on the leading process alone.
        after_epoch: called after each epoch, on the leading process alone. When a training that was killed goes on, the
            epochs since its newest checkpoint are trained and reported again.
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
        self.optimizer = config.optimizer.create(model.parameters())
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self.losses = torch.zeros(self.steps, device=model.device)
        """For each step of the epoch the sum of its rows' losses; zero where it is still to come."""
        self._epoch_began = self._looked = self._saved = time.monotonic()

    @property
    def history(self) -> list[EpochRecord]:
        """One record for each epoch done."""
        return self.progress.history

    def fit(self) -> None:
        """Train to the end and leave the best weights in the model.

        Raises:
            TrainingError: when the loss is no longer finite. Nothing that is not finite reaches the disk.
            Interrupted: on SIGTERM or Ctrl-C, after a checkpoint.
        """
        wrapped = self.group.wrap(self.model)
        with Interrupts() as interrupts, _reproducible(self.config.deterministic):
            while not self._finished():
                self.train_epoch(wrapped, interrupts)
                self._end_epoch()
                self._attend(interrupts)
        self.model.load_state_dict(self.best)

    def train_epoch(self, wrapped: nn.Module, interrupts: Interrupts) -> None:
        """One pass over the data, from the step at which the last process left it."""
        progress, size = self.progress, self.config.batch_size
        order = self._order(progress.epoch)
        self.model.train()
        self._epoch_began = time.monotonic()
        while progress.step < self.steps:
            batch = order[progress.step * size : (progress.step + 1) * size]
            self.losses[progress.step] = self._step(wrapped, *self.group.share(batch)) * len(batch)
            progress.step += 1
            self._attend(interrupts)

    def _attend(self, interrupts: Interrupts) -> None:
        """Do what is due between two steps. All processes do the same, since each would wait for one that is gone."""
        now = time.monotonic()
        stop, look, save = self.group.largest(
            interrupts.received or 0, now - self._looked > LOOK_SECONDS, now - self._saved > CHECKPOINT_SECONDS
        )
        if look:
            self._look()
        if stop or save:
            self._save()
        if stop:
            epoch, step = self.progress.epoch, self.progress.step
            place = f"in epoch {epoch + 1} after step {step} of {self.steps}" if step else f"after epoch {epoch}"
            raise Interrupted(stop, f"stopped {place}; the state is saved: go on with --resume")

    def _step(self, wrapped: nn.Module, rows: Tensor, weight: float) -> Tensor:
        """One optimiser step on the given rows; returns the mean loss of the whole batch."""
        done = self.progress.epoch * self.steps + self.progress.step
        lr = self._lr(done)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = lr
        # Randomness in the model follows from the step alone, so that a resumed run draws what an unbroken one draws. A
        # process of a group draws for its own rows: with dropout a group differs from one process that has all rows.
        _seed(self.model.device, f"{self.config.seed} {done} {self.group.rank}")
        device, batch = self.model.device.type, self.train_split.take(rows)
        with torch.autocast(device, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            loss = self.task.loss(wrapped(batch.x, batch.lengths), batch.y) * weight
        self.optimizer.zero_grad()
        loss.backward()
        if self.config.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        return self.group.total(loss.detach())

    def _look(self) -> None:
        """Check the losses and tell the listener of the epoch so far."""
        self._looked = time.monotonic()
        self._check_losses()
        if self.group.leads and self.progress.step:
            self.listener.step(self.progress.epoch + 1, self.progress.step, self._mean_loss())

    def _mean_loss(self) -> float:
        """The mean over the rows that the epoch has had so far."""
        return float(self.losses.sum()) / min(self.progress.step * self.config.batch_size, len(self.train_split))

    def _check_losses(self) -> None:
        finite = self.losses.isfinite()
        if not bool(finite.all()):
            raise self._diverged(int((~finite).nonzero()[0]) + 1, "loss")

    def _check(self) -> None:
        """Raise unless everything that training has made of the weights is finite."""
        self._check_losses()
        slots = [value for state in self.optimizer.state.values() for value in state.values() if value is not None]
        if not all(bool(value.isfinite().all()) for value in (*self.model.parameters(), *slots)):
            raise self._diverged(self.progress.step, "weights' update")

    def _end_epoch(self) -> None:
        """Evaluate, keep the best weights, write everything down."""
        self._check()
        progress = self.progress
        metrics = self.group.from_leader(lambda: evaluate(self.model, self.task, self.validation)[0])
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
        self.group.from_leader(lambda: self._report(record))

    def _report(self, record: EpochRecord) -> None:
        self.listener.epoch(record)
        self.after_epoch(record)

    def _rank(self, record: EpochRecord) -> tuple[float, float]:
        """How good an epoch is: by the metric, then by the validation loss where it has a say."""
        sign = 1 if self.task.better.get(self.metric) == "higher" else -1
        loss = 0.0 if self.metric == TRAIN_LOSS else record.validation["loss"]
        return sign * record.value_of(self.metric), -loss

    def _is_best(self, record: EpochRecord) -> bool:
        """Whether no epoch before is better. Of equal ones the later is kept: it has learnt for longer."""
        kept = next((one for one in reversed(self.history) if one.best), None)
        return kept is None or self._rank(record) >= self._rank(kept)

    def _finished(self) -> bool:
        """Whether all epochs are done, or so many without improvement that there will be no more. An epoch as good as
        the best one is none, although its weights are kept: a standstill would never end."""
        stopping, done = self.config.early_stopping, self.progress.epoch
        improved = max(self.history, key=self._rank).epoch if self.history else 0  # the first of equal ones
        return done >= self.config.epochs or (stopping is not None and done - improved >= stopping.patience)

    def _lr(self, done: int) -> float:
        """The learning rate of the step after ``done`` steps."""
        return self.config.optimizer.lr * self.config.schedule.scale((done + 1) / (self.steps * self.config.epochs))

    def _order(self, epoch: int) -> Tensor:
        """The order in which an epoch takes the rows, the same on every process."""
        generator = torch.Generator().manual_seed(_hash(f"order {self.config.seed} {epoch}"))
        return training_order(self.train_split, self.config.batch_size, generator).to(self.model.device)

    def _diverged(self, step: int, what: str) -> TrainingError:
        """The error for something that is not finite after ``step`` (from 1) of this epoch."""
        epoch = self.progress.epoch
        done = epoch * self.steps + step
        advice = "lower training.optimizer.lr" + ("" if self.config.clip_norm else " or set training.clip_norm to 1")
        if done == 1 and what == "loss":  # nothing has been learnt yet
            advice = "look for huge values in the training data"
        return TrainingError(
            f"the {what} is not finite in epoch {epoch + 1}, step {step} (learning rate {self._lr(done - 1):.3g}); "
            f"what was saved before is good; {advice}"
        )

    def _save(self) -> None:
        """Write a checkpoint, unless something in it is not finite."""
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
        """Take over the newest checkpoint's state, if there is one.

        Args:
            warn: told, in one line, of each damaged checkpoint that is passed over.

        Raises:
            RunError: where none is whole, or it is not one of this model, these data and this ``training``.
        """
        checkpoint = self.group.from_leader(lambda: self.checkpoints.newest(warn))
        if checkpoint is not None:
            try:
                self.progress, self.best = from_checkpoint(checkpoint, self.model, self.optimizer, self.losses)
            except (KeyError, RuntimeError, TypeError, ValueError) as error:
                raise RunError(
                    f"{self.checkpoints.path}: the checkpoint does not fit the model, the data or the training of the "
                    "spec; put back what was changed since, or build again without --resume"
                ) from error


def _hash(text: str) -> int:
    return zlib.crc32(text.encode())  # torch's CPU generator uses 32 bits of its seed


def _seed(device: torch.device, text: str) -> None:
    # torch.manual_seed would also seed devices that are not used, which costs more than a small step.
    torch.default_generator.manual_seed(_hash(text))
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(_hash(text))


@contextmanager
def _reproducible(wanted: bool) -> Iterator[None]:
    """While active, torch uses deterministic kernels only, if asked to."""
    before = torch.are_deterministic_algorithms_enabled()
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS refuses to be deterministic without it
    torch.use_deterministic_algorithms(wanted or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
