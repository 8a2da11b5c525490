"""Lines of the user's code while a module is traced, for error messages."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from types import FrameType

import torch

import zoo
from zoo_onnx.untraceable import LIBRARIES, Line

_FOREIGN = (
    *LIBRARIES,
    Path(torch.__file__).parent,
    Path(zoo.__file__).parent,
    Path(sysconfig.get_path("stdlib")),
    Path(sysconfig.get_path("purelib")),
)
_TRACE = str(Path(__file__).with_name("trace.py"))


def is_users(file: str) -> bool:
    """Return whether a file, or a notebook's cell, has the user's code and not that of a library."""
    return not file.startswith(("<frozen", "<eval_with_key")) and not any(map(Path(file).is_relative_to, _FOREIGN))


def running_line() -> Line | None:
    """Return the innermost line of the user's code that runs inside the traced module; None if there is none."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename != _TRACE:
        if is_users(frame.f_code.co_filename):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None
