"""The generated part of specs/README.md, made from the results of `make book`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import Any, NamedTuple

from tests.book.plan import CELLS
from tests.support.pages import replace_between
from tests.support.paths import ROOT

RESULTS = ROOT / "specs" / "book" / "results.json"
PAGE = ROOT / "specs" / "README.md"
BEGIN, END = "<!-- made by `make book` from book/results.json -->", "<!-- end -->"

Runs = Sequence[Mapping[str, Any]]


class Row(NamedTuple):
    """One row of the table."""

    number: int
    """Number of the system in the chapter."""
    system: str
    specs: tuple[str, ...]
    chapter: str
    """The chapter's own figures."""
    measured: Callable[[Runs], str]
    """Formats our figures, from the runs of the specs."""
    settings: tuple[str, ...] = ()
    """The ``--set`` changes of those runs."""


def _accuracy(runs: Runs) -> str:
    values = [run["test"]["accuracy"] for run in runs]
    spread = f" ({min(values):.3f} to {max(values):.3f}, {len(values)} seeds)" if len(values) > 1 else ""
    return f"accuracy {mean(values):.3f}{spread}; majority {runs[0]['baselines']['majority']['accuracy']:.3f}"


def _digits(runs: Runs) -> str:
    (run,) = runs
    return f"loss {run['test']['loss']:.4f}, accuracy {run['test']['accuracy']:.4f}"


def _training_loss(runs: Runs) -> str:
    alive = sorted(run["train_loss"] for run in runs if not run["constant"])
    dead = [run["train_loss"] for run in runs if run["constant"]]
    text = f"best {alive[0]:.4f} of {len(runs)} seeds ({', '.join(f'{value:.4f}' for value in alive)}"
    return text + (f"; {len(dead)} dead at {dead[0]:.3f})" if dead else ")")


def _forecast(runs: Runs) -> str:
    (run,) = runs
    naive = run["baselines"]["persistence"]
    words = "; **no better than persistence**" if "persistence" in run["not_beaten"] else ""
    return (
        f"MSE {run['test']['loss']:.3f}, MAE {run['test']['scaled_mae']:.3f} (standardised); persistence "
        f"{naive['loss']:.3f}, {naive['scaled_mae']:.3f}{words}"
    )


def _fill(runs: Runs) -> str:
    forward, both = (f"{run['test']['accuracy']:.3f} ({run['parameters']:,} parameters)" for run in runs)
    majority = runs[0]["baselines"]["majority"]["accuracy"]
    return f"forward {forward}, bidirectional {both}; majority {majority:.3f}"


def _bits(runs: Runs) -> str:
    (run,) = runs
    naive = run["baselines"]
    return (
        f"{run['test']['bits_per_character']:.2f} bits per character after {run['seconds'] / 60:.1f} minutes; unigram "
        f"{naive['unigram']['bits_per_character']:.2f}, uniform {naive['uniform']['bits_per_character']:.2f}"
    )


def _adding(runs: Runs) -> str:
    (run,) = runs
    return f"MSE {run['test']['loss']:.4f}; the mean has {run['baselines']['mean']['loss']:.3f}"


NAMES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU", "bilstm": "biLSTM"}

ROWS = (
    Row(1, "text, RNN, its own recipe", ("text_rnn_chapter",), "0.56 on IMDB", _accuracy),
    Row(1, "text, LSTM, its own recipe", ("text_lstm_chapter",), "", _accuracy),
    *(Row(1, f"text, {NAMES[cell]}", (f"text_{cell}",), "", _accuracy) for cell in CELLS),
    Row(2, "MNIST, LSTM cell by hand", ("mnist_lstm_chapter",), "loss 0.06, accuracy 0.98", _digits),
    Row(2, "MNIST, LSTM, our recipe", ("mnist_lstm",), "", _digits),
    Row(3, "Starbucks, LSTM, training loss", ("sbux_lstm",), "0.101 to 0.0196", _training_loss),
    Row(3, "Starbucks, LSTM, honest", ("sbux_lstm_honest",), "", _forecast),
    Row(4, "MNIST, GRU cell by hand", ("mnist_gru_chapter",), "loss 0.07, accuracy 0.98", _digits),
    Row(4, "MNIST, GRU, our recipe", ("mnist_gru",), "", _digits),
    Row(5, "Starbucks, GRU, training loss", ("sbux_gru",), "0.093 to 0.0181; 0.275 to 0.0331", _training_loss),
    Row(5, "Starbucks, GRU, honest", ("sbux_gru_honest",), "", _forecast),
    Row(6, "Starbucks, biLSTM, training loss", ("sbux_bilstm",), "0.0214 to 0.0179", _training_loss),
    Row(6, "Starbucks, biLSTM, honest", ("sbux_bilstm_honest",), "", _forecast),
    Row(6, "oil temperature, 24 hours ahead", ("etth1_gru",), "", _forecast),
    *(
        Row(7, f"masked character, {NAMES[cell]}", (f"fill_{cell}_forward", f"fill_{cell}_bidirectional"), "", _fill)
        for cell in CELLS
    ),
    *(Row(8, f"characters, {NAMES[cell]}", (f"characters_{cell}",), "", _bits) for cell in CELLS),
    *(
        Row(9, f"adding {time} steps, {NAMES[cell]}", (f"adding_{cell}",), "", _adding, (f"data.time={time}",))
        for time in (50, 100, 200)
        for cell in CELLS
    ),
)


def render(results: Mapping[str, Any]) -> str:
    """The generated part of the page, in Markdown."""
    packages = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        f"Measured on {results['date']} in {results['minutes']} minutes ({results['machine']}; {packages}). "
        "Seed 0, unless there is a spread.",
        "",
        "| | system | spec | the chapter | ours | parity |",
        "|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        runs = [
            run
            for spec in row.specs
            for run in results["runs"]
            if run["spec"] == spec and tuple(run["settings"]) == row.settings
        ]
        specs = ", ".join(f"[{spec}](book/{spec}.yaml)" for spec in row.specs)
        cells = (row.number, row.system, specs, row.chapter, row.measured(runs), _parity(runs))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, "", _by_hand(results["by_hand"]), "", *_gradients(results), "", *_compare(results)])


def _by_hand(hand: Mapping[str, Any]) -> str:
    chapter, zoo = (f"{hand[side]['seconds']:.0f} s ({hand[side]['epochs']} epochs)" for side in ("theirs", "ours"))
    return (
        f"**The chapter's program against ours**: MNIST to {hand['accuracy']} test accuracy on one thread took the "
        f"chapter's program {chapter} and ours (`mnist_lstm` with one layer) {zoo}: {hand['ratio']:.2f} of the time."
    )


def _gradients(results: Mapping[str, Any]) -> list[str]:
    """System 9: the norm of the gradient at the first step, relative to that at the last."""
    states = list(results["gradients"]["trained"])
    lines = [
        "**System 9, the gradient**: its norm at the first of 100 steps of the adding problem, divided by its norm at",
        "the last step (`zoo gradients`).",
        "",
        f"| weights | {' | '.join(_state_label(state) for state in states)} |",
        f"|---{'|---' * len(states)}|",
    ]
    for weights, ratios in results["gradients"].items():
        lines.append(f"| {weights} | {' | '.join(f'{ratios[state]:.1e}' for state in states)} |")
    pictures = [
        f"![norms of the gradient, {weights}](book/gradients_{weights}.png)" for weights in results["gradients"]
    ]
    return [*lines, "", *pictures]


def _state_label(state: str) -> str:
    cell, _, part = state.partition(" ")
    return f"{NAMES[cell]}, {part}"


def _compare(results: Mapping[str, Any]) -> list[str]:
    """System 10: the cells side by side."""
    rows = [
        f"| {NAMES[row['architecture']]} | {row['mean']:.3f} ({row['min']:.3f} to {row['max']:.3f}) "
        f"| {row['parameters']:,} | {row['training_seconds']:.0f} s | {row['export_bytes'] / 1e6:.1f} MB "
        f"| {1e3 * row['latency']['cpu']:.2f} ms |"
        for row in results["compare"]
    ]
    return [
        "**System 10, choice by experiment**: the text classifiers side by side (`zoo compare`); accuracy with its",
        "spread over seeds, latency of one sequence in ONNX Runtime on one thread.",
        "",
        "| cell | accuracy | parameters | training | ONNX file | latency, CPU |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        "![the text classifiers side by side](book/compare.png)",
    ]


def _parity(runs: Runs) -> str:
    """The verdicts of all files, and the largest error in units of its budget; without runs of constant output."""
    files = [file for run in runs if not run["constant"] for file in run["parity"].values()]
    verdicts = ", ".join(sorted({file["verdict"] for file in files}))
    return f"{verdicts}, {max(file['over_budget'] for file in files):.2f}"


def with_table(page: str, results: Mapping[str, Any]) -> str:
    """The page with a newly generated part."""
    return replace_between(page, BEGIN, END, render(results))
