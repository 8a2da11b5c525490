"""Signals that stop a training: recorded at once, acted on between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Context in which the first Ctrl-C or SIGTERM only sets ``received``.

    A second signal has its usual effect, since the first one restores the previous handlers. In another thread than
    the main one, which alone can handle signals, nothing is caught.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        """Number of the signal received; None before the first one."""
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._record) for number in CAUGHT}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _record(self, number: int, _: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
