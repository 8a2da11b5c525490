"""How long work reports its progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Progress(Protocol):
    """Function that long work calls at the start of each step."""

    def __call__(self, text: str, share: float | None = None, /) -> None:
        """Report what is done now.

        Args:
            text: a few words.
            share: finished part of the work, from 0 to 1; None where it is unknown.
        """


def silent(text: str, share: float | None = None, /) -> None:
    """Report nothing; a `Progress`."""


_receiver: ContextVar[Progress] = ContextVar("receiver", default=silent)


@contextmanager
def reporting_to(progress: Progress) -> Iterator[None]:
    """Give what `report` receives inside the block to a function."""
    token = _receiver.set(progress)
    try:
        yield
    finally:
        _receiver.reset(token)


def report(text: str, share: float | None = None, /) -> None:
    """Report to the function of `reporting_to`, from work whose callers pass no function; a `Progress`."""
    _receiver.get()(text, share)
