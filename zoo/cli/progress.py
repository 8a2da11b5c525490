"""How training shows: a bar with the time that is left on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from zoo.training.progress import EpochRecord


class Silence(AbstractContextManager["Silence"]):
    """For the processes that do not lead."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def step(self, epoch: int, step: int, loss: float) -> None:
        pass

    def epoch(self, record: EpochRecord) -> None:
        pass


class Lines(Silence):
    """One line on stderr after each epoch."""

    def __init__(self, epochs: int, metric: str) -> None:
        self.epochs, self.metric = epochs, metric

    def epoch(self, record: EpochRecord) -> None:
        click.echo(describe(record, self.epochs, self.metric), err=True)


class Bar(Silence):
    """A progress bar on stderr with loss, metric and the time that is left."""

    def __init__(self, console: Console, epochs: int, steps: int, metric: str) -> None:
        self.epochs, self.steps, self.metric = epochs, steps, metric
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}"),
            console=console,
            transient=True,
        )
        self.bar = self.progress.add_task("", total=epochs * steps, epoch=1, detail="")
        self.result = ""

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def step(self, epoch: int, step: int, loss: float) -> None:
        done = (epoch - 1) * self.steps + step
        self.progress.update(self.bar, completed=done, epoch=epoch, detail=f"loss {loss:.4g}{self.result}")

    def epoch(self, record: EpochRecord) -> None:
        self.result = f" · {self.metric.replace('_', ' ')} {record.value_of(self.metric):.4g}"
        detail = f"loss {record.train_loss:.4g}{self.result}"
        self.progress.update(self.bar, completed=record.epoch * self.steps, epoch=record.epoch, detail=detail)


def describe(record: EpochRecord, epochs: int, metric: str) -> str:
    """An epoch in one line."""
    told = metric in ("loss", "train_loss")
    chosen = "" if told else f", {metric.replace('_', ' ')} {record.validation[metric]:.4g}"
    validation = f"validation loss {record.validation['loss']:.4g}{chosen}"
    best = ", best" if record.best else ""
    return f"epoch {record.epoch}/{epochs}: loss {record.train_loss:.4g}, {validation}, {record.seconds:.2f} s{best}"


def watch(console: Console, epochs: int, steps: int, metric: str) -> Silence:
    """What suits the place where stderr goes."""
    if console.is_terminal:
        return Bar(console, epochs, steps, metric)
    return Lines(epochs, metric)
