"""``zoo predict``: predictions for the user's own data, computed by ONNX Runtime."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import output
from zoo.cli.out import OutPath
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.data.signature import Signature
    from zoo.jobs.rolling import Rolling
    from zoo.runtime.answers import Answer, Prediction


@click.command("predict")
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--input", "inputs", multiple=True, type=click.Path(path_type=Path), help="A .npy, .csv or .txt file. Repeatable."
)
@click.option("--text", "texts", multiple=True, help="Text, for a model that reads text. Repeatable.")
@click.option("--out", type=OutPath(), help="CSV file for the predictions. Default: stdout.")
@click.option("--provider", default="cpu", show_default=True, type=click.Choice(["cpu", "cuda"]), help="Where to run.")
@click.option(
    "--top", default=3, show_default=True, type=click.IntRange(1), help="Classes to show for each prediction."
)
@click.option("--rolling", is_flag=True, help="Evaluate over every window of the tables, beside persistence.")
@click.option("--rejected", is_flag=True, help="Accept a file that did not pass its proof.")
@output.common_options
def command(
    target: Path,
    inputs: tuple[Path, ...],
    texts: tuple[str, ...],
    out: Path | None,
    provider: str,
    top: int,
    rolling: bool,
    rejected: bool,
    as_json: bool,
) -> None:
    """Predict for your own data with TARGET, an exported run or its ONNX file.

    \b
    Input files:
      .npy  numbers (time, features) or (sequences, time, features)
      .csv  a row for each step, the columns of the training data, by name
      .txt  one text for each line

    Models of time series also take .tsv, .parquet, .arrow and .jsonl. Numbers are in the units of the training data. A
    forecast is for the steps after the last row. A model with a spread or with quantiles gives a column for each of
    them.
    """
    from zoo.files import write_atomically
    from zoo.jobs.predict import predict

    if not inputs and not texts:
        raise UsageError("give a file with --input, or a text with --text")
    if rolling:
        if texts:
            raise UsageError("--rolling: evaluates tables, and --text is a text; leave it out")
        _evaluate(target, inputs, out, provider, rejected, as_json)
        return
    signature, predictions = predict(target, inputs, texts, provider, allow_unproven=rejected)
    _warn(predictions)
    if out is not None:
        write_atomically(out, _table(signature, predictions))
        click.echo(f"{out}: {len(predictions)} predictions", err=True)
    if as_json:
        output.emit({"predictions": [prediction.to_dict() for prediction in predictions]})
    elif out is None and signature.labels:
        for prediction in predictions:
            for line in _lines(prediction, top):
                click.echo(line)
    elif out is None:
        click.echo(_table(signature, predictions), nl=False)


def _evaluate(
    target: Path, inputs: Sequence[Path], out: Path | None, provider: str, rejected: bool, as_json: bool
) -> None:
    """Print the metrics over every window of the tables, and write each forecast with the true values to ``out``."""
    from zoo.files import write_atomically
    from zoo.jobs.rolling import evaluate_rolling

    rolling = evaluate_rolling(target, inputs, provider, allow_unproven=rejected)
    count = sum(len(each.y) for each in rolling.windows)
    metrics = rolling.metrics()
    if out is not None:
        write_atomically(out, _rolling_table(rolling))
        click.echo(f"{out}: {count:,} windows", err=True)
    if as_json:
        output.emit({"windows": count, "series": len(rolling.windows), "metrics": metrics})
        return
    click.echo(f"{count:,} windows of {len(rolling.windows):,} series")
    for name, values in metrics.items():
        shown = ", ".join(f"{metric.replace('_', ' ')} {value:.4g}" for metric, value in values.items())
        click.echo(f"{'naive: ' if name != 'model' else ''}{name}: {shown}")


def _rolling_table(rolling: Rolling) -> str:
    """Return every forecast as CSV: the last row of its window, the step, and for each target prediction and truth."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    targets = rolling.signature.targets
    writer.writerow(["source", "last_row", "step", *targets, *(f"{name} (true)" for name in targets)])
    for each, predicted in zip(rolling.windows, rolling.predicted, strict=True):
        for place, forecast, true in zip(each.last, predicted.tolist(), each.y.tolist(), strict=True):
            for step, (numbers, values) in enumerate(zip(forecast, true, strict=True), 1):
                writer.writerow([each.source, place, step, *(f"{number:.9g}" for number in (*numbers, *values))])
    return file.getvalue()


def _warn(predictions: Sequence[Prediction]) -> None:
    """Warn about predictions: a line for each distinct note, with the first source that has it."""
    noted: dict[str, list[str]] = {}
    for prediction in predictions:
        if prediction.note:
            noted.setdefault(prediction.note, []).append(prediction.source)
    for note, sources in noted.items():
        more = f" (and {len(sources) - 1:,} more)" if sources[1:] else ""
        output.warn(f"{_on_one_line(sources[0])}: {note}{more}")


def _lines(prediction: Prediction, top: int) -> Iterator[str]:
    """Yield a line for each answer: the most probable classes, or all labels where there may be several."""
    for answer in prediction.answers:
        source = _on_one_line(prediction.source)
        place = source if answer.step is None else f"{source}, step {answer.step}"
        best = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])
        shown = best if answer.label is None else best[:top]
        yield f"{place}: " + ", ".join(f"{_on_one_line(label)} {share:.1%}" for label, share in shown)


def _on_one_line(text: str) -> str:
    """Return a label or a text for printing, quoted and escaped if it would break the line or be invisible."""
    return text if text.isprintable() and text == text.strip() != "" else repr(text)


def _table(signature: Signature, predictions: Sequence[Prediction]) -> str:
    """Return all predictions as CSV, a line for each predicted step."""
    stepwise = signature.by_step or bool(signature.horizon)
    answers = [answer for prediction in predictions for answer in prediction.answers]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    header = [column for answer in answers[:1] for column, _ in _cells(answer)]
    writer.writerow(["source", *(["step"] if stepwise else []), *header])
    for prediction in predictions:
        for answer in prediction.answers:
            cells = [cell for _, cell in _cells(answer)]
            writer.writerow([prediction.source, *([answer.step] if stepwise else []), *cells])
    return file.getvalue()


def _cells(answer: Answer) -> list[tuple[str, str]]:
    """Return the columns of an answer with their cells."""
    # Nine digits represent every float32 uniquely.
    if answer.probabilities:
        first = ("labels", "; ".join(answer.labels)) if answer.label is None else ("label", answer.label)
        return [first, *((f"p({label})", f"{share:.9g}") for label, share in answer.probabilities.items())]
    cells = []
    for target, number in answer.numbers.items():
        if target in answer.quantiles:
            cells += [(f"{target} q{share}", f"{value:.9g}") for share, value in answer.quantiles[target].items()]
            continue
        cells.append((target, f"{number:.9g}"))
        if target in answer.spread:
            cells.append((f"{target} spread", f"{answer.spread[target]:.9g}"))
    return cells
