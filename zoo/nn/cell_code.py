"""Which line of a cell's own code a message is about, rather than one of torch's or of this package's."""

from __future__ import annotations

import inspect
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import numpy as np
import torch

Line = tuple[str, int]
"""A file and a line of it."""

_PACKAGES = [Path(str(module.__file__)).parent for module in (torch, np)]
NOT_OF_A_CELL = (*_PACKAGES, Path(__file__).parents[1], Path(sysconfig.get_path("stdlib")))
"""Folders whose code is nobody's cell; but for packages installed inside the last, see `is_of_a_cell`."""


def is_of_a_cell(file: str, others: Sequence[Path] = ()) -> bool:
    """Whether code may be that of a cell, or of something that it calls.

    Args:
        file: where the code stands.
        others: folders, beside `NOT_OF_A_CELL`, whose code is nobody's cell.
    """
    path = Path(file)
    inside = [folder for folder in (*NOT_OF_A_CELL, *others) if path.is_relative_to(folder)]
    installed = "site-packages" in path.parts and not any("site-packages" in folder.parts for folder in inside)
    return path.is_file() and (not inside or installed)


def raised_at(error: BaseException, others: Sequence[Path] = ()) -> Line | None:
    """The last line of a cell's own code that an error passed through; for ``others`` see `is_of_a_cell`."""
    line, traceback = None, error.__traceback__
    while traceback is not None:
        if is_of_a_cell(file := traceback.tb_frame.f_code.co_filename, others):
            line = file, traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def running_line(others: Sequence[Path] = ()) -> Line | None:
    """The line of a cell's own code that runs now, the innermost one; for ``others`` see `is_of_a_cell`."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if is_of_a_cell(frame.f_code.co_filename, others):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None


def line_of(kind: type, method: str) -> Line:
    """Where a method of a class begins, in whichever class of its own code defines it; else where the class does."""
    function = inspect.unwrap(getattr(kind, method))
    try:
        file, line = str(inspect.getsourcefile(function)), inspect.getsourcelines(function)[1]
        if is_of_a_cell(file):
            return file, line
        return str(inspect.getsourcefile(kind)), inspect.getsourcelines(kind)[1]
    except (OSError, TypeError):  # written where no file keeps the source, such as a notebook
        return kind.__module__, 0
