"""Progress of long work: bars where they can be drawn, on a terminal or in a notebook, and lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from zoo.training.progress import EpochRecord

REFRESH = 0.25
"""Seconds between two updates of a bar, at least."""


class Report(Protocol):
    """Receiver of the current step of some work."""

    def __call__(self, text: str, share: float | None = None) -> None:
        """Receive a few words, and the share of all work that is done, from 0 to 1, where it is known."""


def screen() -> Console:
    """Return the console on stderr, for progress."""
    return Console(stderr=True, highlight=False)


def _can_draw(console: Console) -> bool:
    """Return whether a bar can be drawn: on a terminal, and in a notebook that has rich's widgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)


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
        _print(describe(record, self.epochs, self.metric))


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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
    if _can_draw(console):
        return Bar(console, epochs, steps, metric)
    return Lines(epochs, metric)


@contextmanager
def activity(console: Console | None) -> Iterator[Report]:
    """Show the current step of some work: a bar, or a line for each step where no bar can be drawn.

    The bar is drawn only when a step is reported. By default rich draws from a thread ten times a second, which would
    disturb a measurement.

    Args:
        console: where to show it; None to show nothing.

    Yields:
        The function that receives the steps.
    """
    if console is None:
        yield lambda _, __=None: None
    elif not _can_draw(console):
        shown = ""

        def line(text: str, share: float | None = None) -> None:  # noqa: ARG001  (a line has no bar)
            nonlocal shown
            if text != shown:
                _print(text)
            shown = text

        yield line
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
            yield _moving(progress)


def _moving(progress: Progress) -> Report:
    """Return a function that moves a new bar of ``progress``."""
    bar, shown, drawn = progress.add_task("", total=None), "", time.monotonic()

    def move(text: str, share: float | None = None) -> None:
        nonlocal shown, drawn
        if share is not None:
            progress.update(bar, total=1.0, completed=share)
        progress.update(bar, description=text)
        if text != shown or time.monotonic() - drawn >= REFRESH:
            progress.refresh()
            shown, drawn = text, time.monotonic()

    return move
