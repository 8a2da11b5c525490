"""What a command does now: a line on a terminal, and a bar with the time left for work that takes long."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn

PATIENCE = 3.0
"""Seconds of work before the bar appears."""


class Activity(AbstractContextManager["Activity"]):
    """A spinner with what is done now, which becomes a bar with the time left; a `zoo.progress.Progress`.

    The time left follows from the time that the finished share took. A share below the one before belongs to other
    work, such as the proof of another file, and is timed anew.

    Args:
        console: a terminal.
        text: the command, shown before each step.
        clock: gives the time in seconds.
    """

    def __init__(self, console: Console, text: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.text, self._clock = text, clock
        columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
        self.progress = Progress(*columns, console=console, transient=True)
        self._columns = (*columns, BarColumn(), TextColumn("{task.fields[left]}"))
        self._bar = self.progress.add_task(text, total=1.0, left="")
        self._start = self._began = clock()
        self._first = 0.0
        self._share: float | None = None

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, text: str, share: float | None = None, /) -> None:
        self.progress.update(self._bar, description=f"{self.text}: {text}")
        if share is None:
            return
        now = self._clock()
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
