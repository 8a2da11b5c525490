"""A folder with code of a user, in which commands run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class UserFolder:
    """The current folder of a test, with code that commands import."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, code: str) -> None:
        """Write a file of code."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)


@contextmanager
def user_folder(path: Path) -> Iterator[UserFolder]:
    """Make a folder the current one; what is imported from it is forgotten at the end."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        yield UserFolder(path)
    for name in set(sys.modules) - before:
        origin = getattr(sys.modules[name].__spec__, "origin", None)
        locations = getattr(sys.modules[name], "__path__", ())
        if any(str(place).startswith(str(path)) for place in (origin, *locations)):
            del sys.modules[name]
