"""The command line, run in the process of a test."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from zoo.cli.main import main


class Outcome(NamedTuple):
    """Exit code and output of a command."""

    exit_code: int
    stdout: str
    stderr: str


def run_zoo(*arguments: object) -> Outcome:
    """Run ``zoo ARGUMENTS…`` as a shell would, except that neither stream is a terminal.

    Exceptions other than SystemExit, which ``--debug`` lets through, propagate to the caller.
    """
    stdout, stderr = StringIO(), StringIO()
    with patch.object(sys, "argv", ["zoo", *map(str, arguments)]), redirect_stdout(stdout), redirect_stderr(stderr):
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 1
    return Outcome(code, stdout.getvalue(), stderr.getvalue())


def assert_one_line(outcome: Outcome, exit_code: int, *parts: str) -> None:
    """Check the exit code, and that stderr is one line with an error that contains all the parts."""
    assert outcome.exit_code == exit_code, outcome
    assert outcome.stderr.startswith("error: ")
    assert outcome.stderr.count("\n") == 1
    for part in parts:
        assert part in outcome.stderr


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder, by its relative path."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
