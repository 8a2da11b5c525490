"""Source lines of a cell: the place that an error names in the code of a plugin, not in torch or this package."""

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
"""File and line number."""

_PACKAGES = [Path(str(module.__file__)).parent for module in (torch, np)]
LIBRARIES = (*_PACKAGES, Path(__file__).parents[1], Path(sysconfig.get_path("stdlib")))
"""Folders without code of cells, except ``site-packages`` inside the last."""


def is_of_a_cell(file: str, others: Sequence[Path] = ()) -> bool:
    """Return whether a file may hold the code of a cell, or code that a cell calls.

    Files of torch, NumPy, this package and the standard library do not; files of other installed packages may.

    Args:
        file: path of the source file, as in a traceback.
        others: further folders without code of cells, such as that of an exporter.
    """
    path = Path(file)
    inside = [folder for folder in (*LIBRARIES, *others) if path.is_relative_to(folder)]
    installed = "site-packages" in path.parts and not any("site-packages" in folder.parts for folder in inside)
    return path.is_file() and (not inside or installed)


def raised_at(error: BaseException, others: Sequence[Path] = ()) -> Line | None:
    """Return the innermost line of a cell's code in the traceback of an error.

    Args:
        error: exception with a traceback.
        others: further folders without code of cells; see `is_of_a_cell`.

    Returns:
        File and line number; None if no line of a cell is in the traceback.
    """
    line, traceback = None, error.__traceback__
    while traceback is not None:
        if is_of_a_cell(file := traceback.tb_frame.f_code.co_filename, others):
            line = file, traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def running_line(others: Sequence[Path] = ()) -> Line | None:
    """Return the innermost line of a cell's code on the current call stack.

    Args:
        others: further folders without code of cells; see `is_of_a_cell`.

    Returns:
        File and line number; None if no line of a cell is on the stack.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if is_of_a_cell(frame.f_code.co_filename, others):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None


def line_of(kind: type, method: str) -> Line:
    """Return the first line of a method, or of its class if the method is inherited from this package or torch."""
    function = inspect.unwrap(getattr(kind, method))
    try:
        file, line = str(inspect.getsourcefile(function)), inspect.getsourcelines(function)[1]
        if is_of_a_cell(file):
            return file, line
        return str(inspect.getsourcefile(kind)), inspect.getsourcelines(kind)[1]
    except (OSError, TypeError):  # the source is in no file, as in a notebook
        return kind.__module__, 0
