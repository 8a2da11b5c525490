"""``zoo predict``: answers for a user's own file, through ONNX Runtime."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from zoo.cli import output


@click.command("predict")
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--input", "inputs", multiple=True, required=True, type=click.Path(path_type=Path), help=".npy or .csv. Repeatable."
)
@click.option("--provider", default="cpu", show_default=True, type=click.Choice(["cpu", "cuda"]))
@click.option("--top", default=3, show_default=True, type=click.IntRange(1), help="How many labels to show for each.")
@output.common_options
def command(target: Path, inputs: tuple[Path, ...], provider: str, top: int, as_json: bool) -> None:
    """Classify the sequences of the input files with TARGET, an exported run or its file.

    A .npy file holds (time, features) or (sequences, time, features); a .csv file one sequence, a row a step.
    Values are in the units of the training data.
    """
    from zoo.predict import predict

    predictions = predict(target, inputs, provider)
    if as_json:
        output.emit({"predictions": [asdict(prediction) for prediction in predictions]})
        return
    for prediction in predictions:
        best = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:top]
        click.echo(f"{prediction.source}: " + ", ".join(f"{label} {share:.1%}" for label, share in best))
