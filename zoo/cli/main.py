"""The entry point of the command line: finds the command, and turns errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from io import StringIO
from typing import Any, NoReturn

import click

from zoo import __version__
from zoo.cli import output
from zoo.errors import Interrupted, SpecError, ZooError

COMMANDS = {
    "init": "Write specs to start with.",
    "build": "Train the model that a spec describes.",
    "export": "Export a run and prove that the file computes the same.",
    "check": "Prove an exported file again.",
    "bisect": "The first wrong node and step of a file that fails its proof.",
    "verify": "Whether this machine computes what a file says; needs no torch.",
    "predict": "Answer for your own file, through ONNX Runtime.",
    "sample": "Text from a language model of characters.",
    "compare": "Several runs side by side: quality, size, time.",
    "bench": "Latency and throughput of every lowering, against torch.",
    "report": "One page about a run and its proof, to look at and to print.",
    "gradients": "How far back a model's gradient reaches.",
    "list": "What can be used: architectures, data, tasks, exporters, specs.",
    "inspect": "An exported file in words.",
    "schema": "The JSON Schema of a spec, for editors.",
    "plugins": "Installed plugins, and what is wrong with them.",
    "doctor": "This machine: versions, providers, and what is missing.",
}
"""Every command and its one line of help. They stand here so that --help imports none of them."""

SYNONYMS = {
    "train": "build",
    "fit": "build",
    "run": "build",
    "new": "init",
    "convert": "export",
    "test": "check",
    "prove": "check",
    "debug": "bisect",
    "infer": "predict",
    "inference": "predict",
    "forecast": "predict",
    "generate": "sample",
    "benchmark": "bench",
    "show": "inspect",
    "info": "inspect",
    "summary": "inspect",
    "ls": "list",
    "env": "doctor",
}
"""What other programs call a command of this one, and words that a user may look for."""


class LazyGroup(click.Group):
    """Imports a command's module only when that command is called."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"zoo.cli.{name}").command
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if arguments and arguments[0] not in COMMANDS and not arguments[0].startswith("-"):
            guess = _guess(arguments[0])
            hint = f"did you mean {guess!r}? " if guess else ""
            raise click.UsageError(f"no command {arguments[0]!r}; {hint}'zoo --help' lists all.", context)
        return super().resolve_command(context, arguments)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _guess(name: str) -> str | None:
    """The command that is meant by a name that is none; None where nothing comes close."""
    close = get_close_matches(name.lower(), [*COMMANDS, *SYNONYMS], 1)
    return SYNONYMS.get(close[0], close[0]) if close else None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="zoo")
def cli() -> None:
    """Recurrent networks from a spec, with ONNX export that is proven.

    Start with:  zoo build bilstm  and then  zoo export --onnx
    """


def main() -> NoReturn:
    """Run the command line and leave with its exit code (see `zoo.errors`)."""
    code = _run()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # What is left of a group's threads may abort the process while Python takes it down (torch 2.13, gloo: seldom,
        # on a busy machine). Everything is written by now, so there is nothing to take down.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    """Run the command line, tell of what went wrong in one line, and return the exit code."""
    try:
        result: Any = cli.main(prog_name="zoo", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show(shown := StringIO())
        for line in shown.getvalue().splitlines():
            click.echo(output.one_line(line), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        output.complain("interrupted")
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Interrupted as error:
        output.complain(str(error))
        return error.process_exit_code
    except ZooError as error:
        if output.debugging():
            raise
        for line in error.faults if isinstance(error, SpecError) else (str(error),):
            output.complain(line)
        return error.exit_code
    except Exception as error:
        if output.debugging():
            raise
        text = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
        if isinstance(error, OSError) and error.filename is not None:  # such as a path that is too long
            text = f"{error.filename}: {error.strerror}"
        output.complain(f"{text} (add --debug for the whole trace)", expected=False)
        return 1
    return result if isinstance(result, int) else 0
