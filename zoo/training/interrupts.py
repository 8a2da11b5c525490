"""Signals that ask the process to stop: noted at once, obeyed between two steps."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While active, Ctrl-C and SIGTERM only set ``received``. A second signal acts as it would have without this."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._note) for number in CAUGHT}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
