"""Output of all commands: results on stdout, everything else on stderr, ``--json`` for programs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zoo.progress import Progress

if TYPE_CHECKING:
    from zoo.plugins.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])
SCHEMA_VERSION = 1
_LONGEST_WORD = 400
"""Characters without white space that a message shows in full; a file name has at most 255."""
_state = {"debug": False}


def debugging() -> bool:
    """Return whether --debug was given; errors are then raised with their traceback."""
    return _state["debug"]


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    _state["debug"] = value


def common_options(function: F) -> F:
    """Add the options of every command, --json and --debug."""
    debug = click.option(
        "--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Show the full traceback of an error."
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
    return as_json(debug(function))


def emit(value: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    from zoo.files import json_safe

    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **json_safe(value)}, indent=2, ensure_ascii=False))


def styled(text: str, **style: Any) -> str:
    """Return text with colour or bold, plain if NO_COLOR is set (https://no-color.org).

    click strips both where the stream is not a terminal.
    """
    return text if os.environ.get("NO_COLOR") else click.style(text, **style)


def is_leader() -> bool:
    """Return whether this process prints the messages of its group; under torchrun that is the process of rank 0."""
    return os.environ.get("RANK", "0") == "0"


def print_error(text: str, *, expected: bool = True) -> None:
    """Print an error as one line on stderr.

    Args:
        text: the message.
        expected: whether every process of a group meets the error. An unexpected one is printed by each process, since
            it may occur in one process alone.
    """
    if is_leader() or not expected:
        click.echo(f"{styled('error:', fg='red', bold=True)} {one_line(text)}", err=True)


def warn(text: str) -> None:
    """Print a warning as one line on stderr."""
    if is_leader():
        click.echo(f"{styled('warning:', fg='yellow')} {one_line(text)}", err=True)


def one_line(text: str) -> str:
    """Return a message as one line that is safe to print, whatever a file name or a spec put into it.

    Control characters and line breaks become Python escapes (``\\x1b``): raw, they would move the cursor or change
    colours. The middle of an overlong word, and of an overlong message, is left out.
    """
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return _without_middle(re.sub(rf"\S{{{_LONGEST_WORD},}}", lambda word: _without_middle(word[0], 200), shown), 2000)


def _without_middle(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def node_counts(nodes: Mapping[str, int]) -> str:
    """Return the number of nodes on each provider as text, such as "7 on CUDA, 1 on CPU"."""
    return ", ".join(f"{count} on {name.removesuffix('ExecutionProvider')}" for name, count in nodes.items())


def note(text: str) -> None:
    """Print on stderr what was chosen for the user, as one line."""
    if is_leader():
        click.echo(text, err=True)


def usable_plugins() -> Registry:
    """Return the registry of the usable plugins, after a warning for each plugin that is left out."""
    from zoo.plugins.registry import load_registry

    registry = load_registry()
    for fault in registry.faults:
        warn(f"{fault} (left out)")
    return registry


def spinner(text: str, *, still: bool = False) -> AbstractContextManager[Progress]:
    """Show on a terminal the current step of some work, and for long work a bar with the time left; elsewhere nothing.

    Args:
        text: the work.
        still: whether to draw only when a step is reported, as a measurement needs.

    Returns:
        A context with the function that receives the steps.
    """
    from zoo.library.activity import activity, screen

    console = screen()
    return activity(console if console.is_terminal else None, text, still=still)
