"""Progress of a training: a bar where it can be drawn, on a terminal or in a notebook, and lines elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from zoo.library.activity import can_draw, print_line
from zoo.training.progress import EpochRecord


class Silence(AbstractContextManager["Silence"]):
    """Listener of a training that shows nothing."""

    def __exit__(self, *_: object) -> None:
        pass

    def step(self, epoch: int, step: int, loss: float) -> None:
        pass

    def epoch(self, record: EpochRecord) -> None:
        pass


class Lines(Silence):
    """Listener that prints a line on stderr after each epoch."""

    def __init__(self, epochs: int, metric: str) -> None:
        self.epochs, self.metric = epochs, metric

    def epoch(self, record: EpochRecord) -> None:
        print_line(describe(record, self.epochs, self.metric))


class Bar(Silence):
    """Listener that shows a bar on stderr with loss, metric and remaining time."""

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

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def step(self, epoch: int, step: int, loss: float) -> None:
        done = (epoch - 1) * self.steps + step
        self.progress.update(self.bar, completed=done, epoch=epoch, detail=f"loss {loss:.4g}{self.result}")

    def epoch(self, record: EpochRecord) -> None:
        self.result = f" · {self.metric.replace('_', ' ')} {record.value_of(self.metric):.4g}"
        detail = f"loss {record.train_loss:.4g}{self.result}"
        self.progress.update(self.bar, completed=record.epoch * self.steps, epoch=record.epoch, detail=detail)


def describe(record: EpochRecord, epochs: int, metric: str) -> str:
    """Return the results of an epoch as one line."""
    shown = metric in ("loss", "train_loss")
    chosen = "" if shown else f", {metric.replace('_', ' ')} {record.validation[metric]:.4g}"
    validation = f"validation loss {record.validation['loss']:.4g}{chosen}"
    best = ", best" if record.best else ""
    return f"epoch {record.epoch}/{epochs}: loss {record.train_loss:.4g}, {validation}, {record.seconds:.2f} s{best}"


def watch(console: Console, epochs: int, steps: int, metric: str) -> Silence:
    """Return a bar if the console can draw, and lines otherwise."""
    if can_draw(console):
        return Bar(console, epochs, steps, metric)
    return Lines(epochs, metric)
