"""How long work reports its progress."""

from __future__ import annotations

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
