"""``zoo sample``: text from a language model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import output
from zoo.errors import RunError

if TYPE_CHECKING:
    from zoo.jobs.sample import LanguageModel


@click.command("sample")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--prompt", default="", help="What the text begins with; the model begins by itself when left out.")
@click.option("--length", default=400, show_default=True, type=click.IntRange(0), help="Characters to write.")
@click.option("--temperature", default=0.8, show_default=True, type=float, help="Lower is tamer; 0: no chance at all.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="The same seed, the same text.")
@click.option(
    "--through", type=click.Choice(["onnx", "torch"]), help="What computes; ONNX Runtime, if RUN was exported for it."
)
@output.common_options
def command(
    run: Path, prompt: str, length: int, temperature: float, seed: int, through: str | None, as_json: bool
) -> None:
    """Let RUN, a language model of characters, write on from a prompt, one character at a time.

    The prompt and the text go to stdout and nothing else does. ONNX Runtime computes where there is a file of
    'zoo export --onnx --streaming'; torch where there is none.
    """
    from zoo.data.datafile import name_fault
    from zoo.jobs.sample import sample, streaming_file

    if fault := name_fault(run):
        raise RunError(fault)
    through = through or ("onnx" if streaming_file(run).is_file() else "torch")
    model, note = _model(run, through)
    text = sample(model, prompt, length=length, temperature=temperature, seed=seed)
    click.echo(note, err=True)
    if as_json:
        chosen = {"temperature": temperature, "seed": seed, "through": through}
        output.emit({"prompt": prompt, "text": "".join(text), **chosen})
        return
    click.echo(prompt, nl=False)
    for character in text:
        click.echo(character, nl=False)
    if sys.stdout.isatty():
        click.echo()


def _model(run: Path, through: str) -> tuple[LanguageModel, str]:
    """The run's model, and a line that tells what computes it and how something else would."""
    from zoo.jobs.sample import onnx_model, streaming_file

    if through == "onnx":
        return onnx_model(run), f"through ONNX Runtime, from {streaming_file(run)}; --through torch takes torch"
    from zoo.jobs.sample_torch import torch_model
    from zoo.run.run import Run

    export = "" if streaming_file(run).is_file() else f"'zoo export --onnx --streaming {run}' and "
    note = f"through torch; {export}--through onnx takes ONNX Runtime"
    return torch_model(Run.find(run), output.usable_plugins()), note
