"""`zoo predict` for every kind of model: texts, forecasts, and predictions at each step."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.command import run_zoo
from tests.support.paths import ROOT
from zoo.data.sources.example_series import prices
from zoo.data.texts import text_ids
from zoo.parity import compare
from zoo.plugins.registry import load_registry
from zoo.proof.oracle import Oracle
from zoo.run.run import Run


def exported(folder: Path, spec: str, *settings: str) -> Path:
    run = folder / spec
    changes = [part for setting in ("training.epochs=1", *settings) for part in ("--set", setting)]
    outcome = run_zoo("build", ROOT / "specs" / f"{spec}.yaml", "--out", run, "--device", "cpu", *changes)
    assert outcome.exit_code == 0, outcome.stderr
    outcome = run_zoo("export", "--onnx", run, "--provider", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    return run


@pytest.fixture(scope="module")
def forecast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predicts two targets for three steps, from five rows of three columns."""
    data = "data={name: csv, inputs: [open, close, volume], targets: [close, volume], window: 5, horizon: 3}"
    return exported(tmp_path_factory.mktemp("runs"), "forecast", data)


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("runs"), "sentiment", "encoder.size=8", "architecture.hidden_size=8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = ("data.train=100", "data.validation=20", "data.test=20", "architecture.hidden_size=8")
    return exported(tmp_path_factory.mktemp("runs"), "copy", *settings)


@pytest.fixture(scope="module")
def adding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads two named columns, without a window."""
    settings = ("data.time=6", "data.train=100", "data.validation=20", "data.test=20", "architecture.hidden_size=8")
    return exported(tmp_path_factory.mktemp("runs"), "adding", *settings)


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predicts a masked character."""
    folder = tmp_path_factory.mktemp("runs")
    text = folder / "text.txt"
    text.write_text("the king and the queen of the land went to the sea\n" * 20)
    data = f"data={{name: characters, file: {text}, window: 12, predict: masked}}"
    small = ("encoder={name: embedding, size: 4}", "architecture.hidden_size=6", "task={name: tagging}")
    return exported(folder, "characters", data, *small)


ROWS = [
    {"date": f"2026-01-{day:02}", "volume": 1e6 * day, "close": 10.0 + day, "open": 9.5 + day} for day in range(1, 9)
]


def table(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_forecast_is_for_the_rows_after_the_last_and_in_the_units_of_the_file(forecast: Path, tmp_path: Path) -> None:
    """The columns of the file are in another order, and one is unknown to the model."""
    path, out = table(tmp_path / "my.csv", ROWS), tmp_path / "out.csv"
    outcome = run_zoo("predict", forecast, "--input", path, "--out", out)
    assert (outcome.exit_code, outcome.stdout) == (0, ""), outcome.stderr
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert list(rows[0]) == ["source", "step", "close", "volume"]
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    _, _, model = Run(forecast).load(load_registry())
    x = np.array([[[row["open"], row["close"], row["volume"]] for row in ROWS[-5:]]], np.float32)
    expected = Oracle(model).expect(x)["y"]
    answer = np.array([[[row["close"], row["volume"]] for row in rows]], np.float64).astype(np.float32)
    assert compare(expected, answer).status == "passed"
    assert run_zoo("predict", forecast, "--input", path).stdout == out.read_text()


def test_an_evaluation_over_the_test_rows_gives_the_metrics_of_the_test(forecast: Path, tmp_path: Path) -> None:
    table_of_prices = prices()
    names = ("open", "close", "volume")
    columns = [table_of_prices.dates("date").astype(str).tolist(), *(table_of_prices.numbers(name) for name in names)]
    rows = [dict(zip(("date", *names), row, strict=True)) for row in zip(*columns, strict=True)]
    path, out = table(tmp_path / "test.csv", rows[int(0.85 * len(rows)) - 5 :]), tmp_path / "out.csv"
    outcome = run_zoo("predict", forecast, "--input", path, "--rolling", "--json", "--out", out)
    assert outcome.exit_code == 0, outcome.stderr
    result = json.loads(outcome.stdout)
    config = json.loads((forecast / "config.json").read_text())
    assert result["windows"] == config["sizes"]["test"]
    for name, expected in (("model", config["test"]), ("persistence", config["baselines"]["persistence"])):
        ours = result["metrics"][name]
        assert [ours["mae"], ours["rmse"], ours["scaled_mae"], ours["scaled_mse"]] == pytest.approx(
            [expected["mae"], expected["rmse"], expected["scaled_mae"], expected["loss"]], rel=1e-4
        )
    lines = list(csv.DictReader(out.read_text().splitlines()))
    assert len(lines) == 3 * result["windows"]
    assert lines[0]["last_row"] == f"{path}:6"
    assert float(lines[0]["close (true)"]) == pytest.approx(rows[int(0.85 * len(rows))]["close"])
    assert run_zoo("predict", forecast, "--input", path, "--rolling").stdout.startswith(
        "156 windows of 1 series\nmodel: "
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[:4], "contains 4 rows, expected at least 5, the window of the model"),
        (
            [{"date": "2026-01-01", "open": 1, "close": 2}],
            ": has no column 'volume', expected date, open, close, volume",
        ),
        (
            [{"day": 1, "open": 1, "close": 2, "volume": 3}],
            ": has no column 'date', expected date, open, close, volume",
        ),
        (
            ROWS[::-1],
            ":3:1: the date 2026-01-07 00:00:00 is not later than the date before it, 2026-01-08 00:00:00; sort",
        ),
        ([*ROWS[:7], {**ROWS[7], "close": "many"}], ":9:3: 'many' is not a number"),
        (
            [*ROWS[:7], {**ROWS[7], "close": "nan"}],
            ":9:3: 'close' is missing; fill it in, since the model was trained without gaps",
        ),
    ],
)
def test_tables_that_a_forecast_cannot_use(
    forecast: Path, rows: list[dict[str, object]], message: str, tmp_path: Path
) -> None:
    outcome = run_zoo("predict", forecast, "--input", table(tmp_path / "my.csv", rows), "--out", tmp_path / "out.csv")
    assert outcome.exit_code == 1
    assert message in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


def test_what_cannot_be_evaluated(forecast: Path, adding: Path, tmp_path: Path) -> None:
    path = table(tmp_path / "my.csv", ROWS[:7])
    for run, rows, message in (
        (
            forecast,
            ROWS[:7],
            "has no window with its targets, expected at least 8 rows in a series, window and horizon",
        ),
        (adding, ROWS, "--rolling: this model does not predict numbers from windows of a table; leave it out"),
    ):
        outcome = run_zoo("predict", run, "--input", table(path, rows), "--rolling")
        assert outcome.exit_code != 0
        assert message in outcome.stderr


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_columns_without_a_window_take_every_row(adding: Path, rows: int, tmp_path: Path) -> None:
    """Like the same numbers in an array; the columns of the file are in another order."""
    x = np.random.default_rng(0).random((rows, 2)).round(3)
    path = table(tmp_path / "my.csv", [{"marker": marker, "value": value} for value, marker in x.tolist()])
    np.save(tmp_path / "my.npy", x)
    outcome = run_zoo("predict", adding, "--input", path, "--input", tmp_path / "my.npy", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    by_table, by_array = json.loads(outcome.stdout)["predictions"]
    assert by_table["answers"] == by_array["answers"]
    _, _, model = Run(adding).load(load_registry())
    answer = np.array([[by_table["answers"][0]["numbers"]["sum"]]], np.float32)
    assert compare(Oracle(model).expect(x[None].astype(np.float32))["y"], answer).status == "passed"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("value,marker\n", ": contains no rows below its header, expected one row per step"),
        ("", ":1: has no column 'value' in its header, expected value, marker"),
        ("0.5,1\n0.25,0\n", ":1: is a row of numbers, expected a header that names the columns value, marker"),
        ("value,marker\n0.5,1\n1e39,0\n", ":3:1: 1e+39 is more than float32 can hold; replace or remove it"),
    ],
)
def test_tables_without_a_window_that_cannot_be_used(adding: Path, content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text(content)
    outcome = run_zoo("predict", adding, "--input", path)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith(f"error: {path}{message}")
    assert outcome.stderr.count("\n") == 1


def test_a_masked_character_in_a_text(hidden: Path) -> None:
    """It is written as a token of several characters."""
    _, task, _ = Run(hidden).load(load_registry())
    mask = len(task.signature.vocabulary) - 1
    assert text_ids("t<mask>e", task.signature, "").tolist() == [task.signature.ids["t"], mask, task.signature.ids["e"]]
    outcome = run_zoo("predict", hidden, "--text", "t<mask>e king", "--json")
    assert len(json.loads(outcome.stdout)["predictions"][0]["answers"]) == len("t_e king")
    assert "--text 1:1: '<' is not in the vocabulary" in run_zoo("predict", hidden, "--text", "<msk>").stderr


def test_labels_and_texts_that_would_break_a_line(hidden: Path) -> None:
    outcome = run_zoo("predict", hidden, "--text", "the\nking", "--top", 100)
    lines = outcome.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"'the\\nking', step {step}" for step in range(1, 9)]
    assert all("' ' " in line and "'\\n' " in line for line in lines)


def test_a_text_without_a_known_word_is_reported(sentiment: Path, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("xyzzy\nthe plot was awful\nqwertz qwertz\n")
    outcome = run_zoo("predict", sentiment, "--input", path, "--json")
    note = "contains no word that the model knows; the prediction depends on the number of words alone"
    predictions = json.loads(outcome.stdout)["predictions"]
    assert [prediction["note"] for prediction in predictions] == [note, "", note]
    assert outcome.stderr == f"warning: {path}:1: {note} (and 1 more)\n"
    assert run_zoo("predict", sentiment, "--text", "awful").stderr == ""


def test_a_vocabulary_is_inverted_once(sentiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids are not computed again for each text."""
    _, task, _ = Run(sentiment).load(load_registry())
    ids = task.signature.ids
    assert list(ids.items()) == [(token, number) for number, token in enumerate(task.signature.vocabulary)]
    assert task.signature.ids is ids
    monkeypatch.setitem(task.signature.__dict__, "ids", {**ids, "good": 7})  # the ids that encode a text
    assert text_ids("good", task.signature, "").tolist() == [7]


def test_texts_of_different_lengths_are_predicted_as_each_alone(sentiment: Path, tmp_path: Path) -> None:
    texts = ["not bad", "the plot was awful, and the music was dull", "good", "quite unheard-of words"]
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(texts))
    _, task, model = Run(sentiment).load(load_registry())
    oracle = Oracle(model)
    together = json.loads(run_zoo("predict", sentiment, "--input", path, "--json").stdout)["predictions"]
    assert [prediction["source"] for prediction in together] == [f"{path}:{line}" for line in range(1, 5)]
    for text, batched in zip(texts, together, strict=True):
        (alone,) = json.loads(run_zoo("predict", sentiment, "--text", text, "--json").stdout)["predictions"]
        ids = text_ids(text, task.signature, "")[None]
        expected = oracle.expect(ids, lengths=np.array([ids.shape[1]]))["probabilities"]
        for prediction in (batched, alone):
            actual = np.array([list(prediction["answers"][0]["probabilities"].values())], np.float32)
            assert compare(expected, actual).status == "passed"


def test_texts_become_the_tokens_that_the_model_learnt(sentiment: Path, tmp_path: Path) -> None:
    """A sequence of the run's sample, decoded to text, gets the prediction of that sequence."""
    sample = Run(sentiment).sample()
    _, task, model = Run(sentiment).load(load_registry())
    assert sample.lengths is not None
    length = int(sample.lengths[0])
    text = " ".join(task.signature.vocabulary[token] for token in sample.x[0, :length].tolist())
    outcome = json.loads(run_zoo("predict", sentiment, "--text", text, "--json").stdout)
    expected = Oracle(model).expect(sample.x[:1, :length].numpy(), lengths=sample.lengths[:1].numpy())["probabilities"]
    actual = np.array([list(outcome["predictions"][0]["answers"][0]["probabilities"].values())], np.float32)
    assert compare(expected, actual).status == "passed"


def test_every_step_has_a_prediction(copy: Path, tmp_path: Path) -> None:
    text = "abcd------>---"
    lines = run_zoo("predict", copy, "--text", text, "--top", 1).stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"{text}, step {step}" for step in range(1, 15)]
    out = tmp_path / "out.csv"
    run_zoo("predict", copy, "--text", text, "--out", out)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["step"] for row in rows] == [str(step) for step in range(1, 15)]
    for row in rows:
        shares = {name[2:-1]: float(value) for name, value in row.items() if name.startswith("p(")}
        assert max(shares, key=lambda label: shares[label]) == row["label"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--text", "ab!"), 1, "--text 1:3: '!' is not in the vocabulary of the model"),
        (("--text", ""), 1, "--text 1: is empty, expected a text"),
        ((), 2, "give a file with --input, or a text with --text"),
    ],
)
def test_texts_that_a_model_cannot_read(copy: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    outcome = run_zoo("predict", copy, *arguments)
    assert outcome.exit_code == code
    assert message in outcome.stderr
    assert outcome.stdout == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": is empty, expected one text per line"),
        (b"good\n\nbad\n", ":2: is empty, expected a text"),
        (b"good\nb\xff\xfed\n", ":2: is not UTF-8 text"),
    ],
)
def test_files_that_hold_no_texts(sentiment: Path, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(content)
    outcome = run_zoo("predict", sentiment, "--input", path)
    assert outcome.exit_code == 1
    assert f"{path}{message}" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_a_model_of_numbers_rejects_text(forecast: Path) -> None:
    outcome = run_zoo("predict", forecast, "--text", "hello")
    assert outcome.exit_code == 2
    assert "this model takes numbers; give a .npy or .csv file with --input" in outcome.stderr
