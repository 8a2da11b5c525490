"""Entry point of the command line: finds the command, and turns an error into one line and an exit code."""

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
    "init": "Copy the starter specs into a folder.",
    "data": "Look at the data of a spec without training.",
    "build": "Train the model that a spec describes.",
    "export": "Export a run and prove the exported file.",
    "check": "Prove an exported file again, or a cell in all its settings.",
    "bisect": "Find the first wrong node of a file that failed its proof.",
    "verify": "Verify a file on this machine, without torch.",
    "predict": "Predict for your own data with an exported file.",
    "sample": "Generate text with a character language model.",
    "compare": "Compare runs: quality, size, training time, latency.",
    "bench": "Measure latency and throughput of every lowering and of torch.",
    "report": "Write an HTML report of a run and its proofs.",
    "gradients": "Plot how far back in time the gradients of a model reach.",
    "gates": "Plot every gate and state of a model over one sequence.",
    "list": "List architectures, data sources, tasks, exporters and specs.",
    "inspect": "Show the inputs, outputs, nodes and metadata of a file.",
    "schema": "Print the JSON Schema of a spec, for editors.",
    "plugins": "List the installed plugins and their faults.",
    "doctor": "Check versions, devices and providers of this machine.",
}
"""Every command and its line in ``zoo --help``, written here so that the help imports none of the modules."""

SYNONYMS = {
    "train": "build",
    "fit": "build",
    "run": "build",
    "new": "init",
    "explore": "data",
    "dataset": "data",
    "profile": "data",
    "convert": "export",
    "test": "check",
    "prove": "check",
    "debug": "bisect",
    "infer": "predict",
    "inference": "predict",
    "forecast": "predict",
    "generate": "sample",
    "benchmark": "bench",
    "states": "gates",
    "show": "inspect",
    "info": "inspect",
    "summary": "inspect",
    "ls": "list",
    "env": "doctor",
}
"""Names that other programs use for a command; they serve the hint after an unknown command."""


class LazyGroup(click.Group):
    """Command group that imports the module of a command only when that command is called."""

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
    """Return the command closest to an unknown name, or None where no name is close."""
    close = get_close_matches(name.lower(), [*COMMANDS, *SYNONYMS], 1)
    return SYNONYMS.get(close[0], close[0]) if close else None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="zoo")
def cli() -> None:
    """Train recurrent networks from a YAML spec; export them to ONNX with a proof.

    Start with:  zoo build bilstm  and then  zoo export --onnx
    """


def main() -> NoReturn:
    """Run the command line and exit with its code (see `zoo.errors`)."""
    code = _run()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # Threads of a process group may abort the interpreter's shutdown (torch 2.13, gloo: rarely, on a busy machine).
        # All output is written by now, so the shutdown is skipped.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    """Run the command line, print an error as one line, and return the exit code."""
    try:
        result: Any = cli.main(prog_name="zoo", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show(shown := StringIO())
        for line in shown.getvalue().splitlines():
            click.echo(output.one_line(line), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        output.print_error("interrupted")
        return 130
    except BrokenPipeError:  # the reader, such as `head`, closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Interrupted as error:
        output.print_error(str(error))
        return error.process_exit_code
    except ZooError as error:
        if output.debugging():
            raise
        for line in error.faults if isinstance(error, SpecError) else (str(error),):
            output.print_error(line)
        return error.exit_code
    except Exception as error:
        if output.debugging():
            raise
        text = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
        if isinstance(error, OSError) and error.filename is not None:  # for example a path that is too long
            text = f"{error.filename}: {error.strerror}"
        output.print_error(f"{text} (add --debug for the traceback)", expected=False)
        return 1
    return result if isinstance(result, int) else 0
