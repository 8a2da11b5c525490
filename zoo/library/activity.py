"""The current step of some work: with a bar on a terminal and in a notebook that can draw one, elsewhere as lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn

from zoo import progress as contract

PATIENCE = 3.0
"""Seconds of work before the bar appears."""
REFRESH = 0.25
"""Seconds between two updates of a line that does not move by itself, at least."""


def screen() -> Console:
    """Return the console on stderr, for progress."""
    return Console(stderr=True, highlight=False)


def can_draw(console: Console) -> bool:
    """Return whether a bar can be drawn: on a terminal, and in a notebook that has rich's widgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)


def print_line(line: str) -> None:
    """Print a line on stderr."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def activity(console: Console | None, text: str = "", *, still: bool = False) -> Iterator[contract.Progress]:
    """Show the current step of some work: an `Activity`, or a line for each step where none can be drawn.

    Args:
        console: where to show it; None to show nothing.
        text: the work, shown before each step.
        still: see `Activity`.

    Yields:
        The function that receives the steps.
    """
    if console is None:
        yield contract.silent
    elif can_draw(console):
        with Activity(console, text, still=still) as shown:
            yield shown
    else:
        yield _lines(text)


def _lines(work: str) -> contract.Progress:
    """Return a function that prints a line when the step changes."""
    shown = ""

    def line(text: str, share: float | None = None, /) -> None:  # noqa: ARG001  (a line has no bar)
        nonlocal shown
        if text != shown:
            print_line(f"{work}: {text}" if work else text)
        shown = text

    return line


class Activity(AbstractContextManager["Activity"]):
    """A spinner with the current step, which becomes a bar with the time left; a `zoo.progress.Progress`.

    The time left follows from the time that the finished share took. A share below the one before belongs to other
    work, such as the proof of another file, and is timed anew.

    Args:
        console: a terminal, or a notebook.
        text: the work, shown before each step.
        clock: gives the time in seconds.
        still: whether to draw only when a step is reported. Otherwise a thread draws ten times a second, which would
            disturb a measurement.
    """

    def __init__(
        self, console: Console, text: str, clock: Callable[[], float] = time.monotonic, *, still: bool = False
    ) -> None:
        self.text, self._clock, self._still = text, clock, still
        columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
        if not still:
            columns.insert(0, SpinnerColumn())
        self.progress = Progress(*columns, console=console, transient=True, auto_refresh=not still)
        self._columns = (*columns, BarColumn(), TextColumn("{task.fields[left]}"))
        self._bar = self.progress.add_task(text, total=1.0, left="")
        self._start = self._began = self._drawn = clock()
        self._first = 0.0
        self._share: float | None = None
        self._step = ""

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, text: str, share: float | None = None, /) -> None:
        self.progress.update(self._bar, description=f"{self.text}: {text}" if self.text else text)
        now = self._clock()
        if share is not None:
            self._move(share, now)
        if self._still and (text != self._step or now - self._drawn >= REFRESH):
            self.progress.refresh()
            self._drawn = now
        self._step = text

    def _move(self, share: float, now: float) -> None:
        """Show the finished share at a time."""
        if self._share is None or share < self._share:
            self._began, self._first = now, share
        self._share = share
        if now - self._start >= PATIENCE:
            self.progress.columns = self._columns
        gained = share - self._first
        left = time_left((now - self._began) * (1 - share) / gained) if gained > 0 else ""
        self.progress.update(self._bar, completed=share, left=left)


def time_left(seconds: float) -> str:
    """Return the time left as text, such as ``8 s left`` or ``2 min 5 s left``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s left" if minutes else f"{rest} s left"
