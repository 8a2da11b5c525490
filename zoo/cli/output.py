"""How commands speak: results on stdout, everything else on stderr, ``--json`` for programs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

    from zoo.plugins.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])
SCHEMA_VERSION = 1
_LONGEST_WORD = 400
"""Characters without white space that a message shows in full; the name of a file has 255 at most."""
_state = {"debug": False}


def debugging() -> bool:
    """Whether --debug was given: errors then show their trace."""
    return _state["debug"]


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    _state["debug"] = value


def common_options(function: F) -> F:
    """The options of every command: --json and --debug."""
    debug = click.option(
        "--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Show the whole trace of an error."
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    return as_json(debug(function))


def emit(value: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    from zoo.files import json_safe

    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **json_safe(value)}, indent=2, ensure_ascii=False))


def styled(text: str, **style: Any) -> str:
    """Text in colour or bold, unless NO_COLOR is set (https://no-color.org). click drops both where nobody watches."""
    return text if os.environ.get("NO_COLOR") else click.style(text, **style)


def speaks() -> bool:
    """Whether this process says what every process of a group knows: under torchrun the first one does."""
    return os.environ.get("RANK", "0") == "0"


def complain(text: str, *, expected: bool = True) -> None:
    """One line on stderr about something that is wrong; what is not ``expected`` may be wrong in this process alone."""
    if speaks() or not expected:
        click.echo(f"{styled('error:', fg='red', bold=True)} {one_line(text)}", err=True)


def warn(text: str) -> None:
    """One line on stderr about something to know."""
    if speaks():
        click.echo(f"{styled('warning:', fg='yellow')} {one_line(text)}", err=True)


def one_line(text: str) -> str:
    """A message as a terminal may see it, whatever a file's name or a spec brought into it.

    Control characters, line breaks among them, are written as Python writes them (``\\x1b``): raw they would move the
    cursor or change colours. Of a word, and of the whole, that is longer than anybody reads, the middle is left out.
    """
    shown = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    return _without_middle(re.sub(rf"\S{{{_LONGEST_WORD},}}", lambda word: _without_middle(word[0], 200), shown), 2000)


def _without_middle(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def note(text: str) -> None:
    """One line on stderr about what was chosen for the user."""
    if speaks():
        click.echo(text, err=True)


def console() -> Console:
    """The console on stderr, for progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def usable_plugins() -> Registry:
    """The registry, after a warning for each plugin that had to be left out."""
    from zoo.plugins.registry import load_registry

    registry = load_registry()
    for fault in registry.faults:
        warn(f"{fault} (left out)")
    return registry


@contextmanager
def spinner(text: str) -> Iterator[Callable[[str], None]]:
    """A line that says what is being done, on a terminal; silence elsewhere. Yields a function to change it."""
    screen = console()
    if not screen.is_terminal:
        yield lambda _: None
        return
    with screen.status(text) as status:
        yield lambda detail: status.update(f"{text}: {detail}")
