"""Sizes, rates and names beyond any machine or file system: one line each, before memory or time is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.support.command import Outcome, run_zoo
from tests.support.specs import SMALLEST
from zoo import memory
from zoo.cli.output import one_line
from zoo.data.sources.adding import Adding
from zoo.data.sources.copying import Copy
from zoo.data.sources.former_names import Csv
from zoo.data.sources.text import Text
from zoo.training.config import SGD, Adam, AdamW
from zoo.training.engine import Engine

TASKS = {"adding": "regression", "copy": "tagging", "csv": "forecasting", "characters": "language_modelling"}
LONG = "x" * 5000

SIZES: dict[str, tuple[str, str, str]] = {
    "steps": (
        "adding",
        "data.time=1000000000",
        "data.time: 12,000 sequences of 1,000,000,000 steps take at least 176,000.0 GB of memory, and this machine ",
    ),
    "steps beyond 64 bits": ("adding", f"data.time={10**22}", f"data.time: 12,000 sequences of {10**22:,} steps take "),
    "sequences": ("adding", "data.test=100000000000", "data.test: 100,000,011,000 sequences of 100 steps take at "),
    "symbols to copy": ("copy", "data.length=1000000000", "data.length: 12,000 sequences of 2,000,000,020 steps take "),
    "delay": ("copy", f"data.delay={10**22}", f"data.delay: 12,000 sequences of {10**22 + 20:,} steps take at least "),
    "sequences to copy": ("copy", f"data.train={10**18}", "choose a lower data.length, data.delay, data.train, data."),
    "rows": ("csv", f"data.train={10**22}", "data.train: the parts exceed the 1,047 rows of the embedded "),
    "rows of a window": ("csv", f"data.window={10**22}", "data.window: too few of the 1,047 rows of the embedded "),
    "rows to forecast": ("csv", f"data.horizon={10**22}", "data.window: too few of the 1,047 rows of the embedded "),
    "characters of a window": ("characters", f"data.window={10**22}", "data.window: too few of the "),
    "layers of the head": (
        "digits",
        f"task.head.hidden=[{', '.join(['1'] * 9000)}]",
        "task.head.hidden: must have at most 100 entries, got 9,000",
    ),
    "layers beyond a spec": ("digits", f"task.head.hidden=[{','.join(['1'] * 10**5)}]", "is longer than 100,000 bytes"),
    "width of the head": ("digits", "task.head.hidden=[1000000000, 1000000000]", "architecture: training this model "),
    "width of the embedding": ("text", f"encoder={{name: embedding, size: {10**12}}}", "architecture: training this m"),
    "rate": ("digits", "training.optimizer={name: sgd, lr: 1e308}", "lr: must be at most 1e+09, got 1e+308"),
    "weight decay": (
        "digits",
        "training.optimizer={name: adam, weight_decay: 1e39}",
        "weight_decay: must be at most 1e+09, got 1e+39",
    ),
    "a list with one bad entry": ("csv", "data.inputs=[1]", "data.inputs.0: must be text, got 1"),
}
"""By case: data source, override, and a part of the message."""
PATHS: dict[str, tuple[str, str, str]] = {
    "a zero byte": ("text", 'data.file="a\\0b"', "has a control character in its name, '\\x00'"),
    "a zero byte in a table's name": ("csv", 'data.file="a\\0b"', "has a control character in its name, '\\x00'"),
    "a zero byte in a text's name": ("characters", 'data.file="a\\0b"', "has a control character in its name, '\\x00'"),
    "a zero byte in one of several": ("text", 'data.files={a: "\\0"}', "has a control character in its name, '\\x00'"),
    "a zero byte in a folder's name": ("text", 'data.folder="a\\0b"', "has a control character in its name, '\\x00'"),
    "a long name": ("text", f"data.file={LONG}", "has a name of 5,000 characters"),
    "a long name of a folder": ("text", f"data.folder={LONG}", "has a name of 5,000 characters"),
    "a long name of a column": ("csv", f"data.date={LONG}", "which data.date names; columns: 'date', "),
    "control characters": ("csv", 'data.file="\\e[31m\\a\\nb"', "has a control character in its name, '\\x1b'"),
    "control characters in a label": (
        "text",
        'data.files={"\\e[1m": "\\e"}',
        "has a control character in its name, '\\x1b'",
    ),
    "a field that is nested too deeply": (
        "digits",
        f"{'a.' * 3000}a=1",
        "expected FIELD.FIELD=VALUE, such as training.epochs=3",
    ),
    "a field with a surrogate": ("digits", "data.\ud800=1", "'data.\\ud800=1': expected FIELD.FIELD=VALUE"),
    "a field with a control character": ("digits", "data.\x1b=1", "'data.\\x1b=1': expected FIELD.FIELD=VALUE"),
    "a value with a surrogate": ("digits", "description=\udcff", "the character '\\udcff' is not text"),
    "a long value": ("digits", f"task.output={LONG}", f"--set task.output={LONG[:50]}"),
}
"""The same columns, for names of files, columns and fields."""


def dry_run(folder: Path, data: str, override: str) -> Outcome:
    path = folder / "spec.yaml"
    task = TASKS.get(data, "classification")
    path.write_text(f"data: {{name: {data}}}\narchitecture: {{name: gru, hidden_size: 8}}\ntask: {{name: {task}}}\n")
    return run_zoo("build", path, "--dry-run", "--set", override)


def assert_one_line(outcome: Outcome, expected: str) -> None:
    assert outcome.exit_code in (1, 2, 3), outcome
    assert outcome.stdout == ""
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("error: ")
    assert expected in line
    assert line.isprintable()
    assert len(line) < 800
    assert "unexpected" not in line


@pytest.mark.parametrize("case", [*SIZES, *PATHS])
def test_an_absurd_size_or_name_gets_one_line(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data, override, expected = (SIZES | PATHS)[case]
    assert_one_line(dry_run(tmp_path, data, override), expected)


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", LONG],
        ["build", f"{LONG}/x.yaml"],
        ["verify", LONG],
        ["inspect", LONG],
        ["report", LONG],
        ["predict", LONG, "--input", "x.csv"],
    ],
    ids=lambda arguments: " ".join(arguments)[:20],
)
def test_an_argument_that_is_too_long_gets_one_line(arguments: list[str]) -> None:
    assert_one_line(run_zoo(*arguments), "name")


def test_a_run_whose_name_is_too_long_gets_one_line(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SMALLEST)
    assert_one_line(run_zoo("build", path, "--out", LONG), "has a name of 5,000 characters")


def test_an_argument_with_control_characters_gets_one_line(tmp_path: Path) -> None:
    name = "\x1b[31m\n\x07"
    assert_one_line(run_zoo("build", name), "error: \\x1b[31m\\n\\x07: cannot be read: No such file or directory")
    assert_one_line(run_zoo("export", name), "error: \\x1b[31m\\n\\x07: is not a run")


def test_a_surplus_argument_with_control_characters_gets_printable_lines() -> None:
    outcome = run_zoo("schema", "\x1b[31m\x07")
    assert outcome.exit_code == 2
    assert outcome.stderr.splitlines()[-1].startswith("Error: Got unexpected extra argument")
    assert all(line.isprintable() for line in outcome.stderr.splitlines())


def test_a_message_is_one_printable_line() -> None:
    assert one_line("plain: 'words', größer → 3") == "plain: 'words', größer → 3"
    assert one_line("\x1b[2J\r\n\t\u202e\udc80") == r"\x1b[2J\r\n\t\u202e\udc80"
    word = "a" * 300 + "b" * 300
    assert one_line(f"x {word} y") == f"x {'a' * 100}…{'b' * 100} y"
    assert one_line("a" * 399) == "a" * 399
    assert one_line("word " * 1000) == "word " * 200 + "…" + "word " * 200


# generated data and the memory of this machine

PARTS = {"train": 20, "validation": 10, "test": 5}


@pytest.mark.parametrize(
    ("source", "config", "size"),
    [
        (Adding(), Adding.Config(time=50, **PARTS), (35 + 20) * 50 * 8),
        (Copy(), Copy.Config(length=10, delay=20, **PARTS), 35 * 40 * 16),
        # 732 of the 1,047 rows are for training; there are fewer windows than rows
        (Csv(), Csv.Config(horizon=30), 732 * 30 * 16),
        (Text(), Text.Config(max_length=5), 4000 * 5 * 8 * 2),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_data_are_rejected_from_the_first_byte_too_many(
    source: zoo.DataSource, config: zoo.Config, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "machine_memory", lambda: size)
    source.load(config)
    monkeypatch.setattr(memory, "machine_memory", lambda: size - 1)
    with pytest.raises(
        zoo.SpecError, match=r"^data\.\w+: .* GB of memory, and this machine has .* choose a lower data"
    ):
        source.load(config)


@pytest.mark.parametrize("source", [Adding(), Copy()], ids=lambda source: source.name)
def test_the_estimate_is_the_memory_of_the_sequences(source: zoo.DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate is at least the memory of the loaded tensors, and less than twice as much."""
    sizes: list[int] = []
    monkeypatch.setattr("zoo.require_memory", lambda size, what, fields: sizes.append(size), raising=False)
    dataset = source.load(source.Config(**PARTS))
    actual = sum(
        tensor.numel() * tensor.element_size()
        for part in (dataset.train, dataset.validation, dataset.test)
        for tensor in (part.x, part.y)
    )
    assert 1 <= sizes[0] / actual < 2


def test_a_batch_beyond_the_memory_is_rejected_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outputs of a batch are 64 sequences of 8 steps with 8 numbers of 4 bytes; the parameters need less."""
    monkeypatch.setattr(memory, "machine_memory", lambda: 64 * 8 * 8 * 4)
    assert dry_run(tmp_path, "digits", "training.epochs=1").exit_code == 0
    monkeypatch.setattr(memory, "machine_memory", lambda: 64 * 8 * 8 * 4 - 1)
    assert_one_line(
        dry_run(tmp_path, "digits", "training.epochs=1"),
        "training.batch_size: the outputs of all layers for a batch of 64 sequences of 8 steps take at least 0.0 GB of",
    )


def test_memory_that_runs_out_in_training_gets_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "fit", lambda engine: torch.empty(2**55))
    path = tmp_path / "spec.yaml"
    path.write_text(SMALLEST)
    outcome = run_zoo("build", path, "--out", tmp_path / "run")
    assert outcome.exit_code == 1
    last = outcome.stderr.splitlines()[-1]
    assert last.startswith("error: the memory is too small for this training (")
    assert last.endswith("); lower training.batch_size")


@pytest.mark.parametrize(("content", "limited"), [("4096\n", True), ("max\n", False), (None, False)])
def test_the_limit_of_a_container_counts(
    tmp_path: Path, content: str | None, limited: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_CONTAINER", tmp_path / "memory.max")
    if content is not None:
        (tmp_path / "memory.max").write_text(content)
    assert (memory.machine_memory() == 4096) == limited
    assert memory.machine_memory() == 4096 or memory.machine_memory() > 2**27


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(name="sgd", lr=1e9, momentum=0.9, weight_decay=1e9),
        Adam(name="adam", lr=1e9, weight_decay=1e9),
        AdamW(name="adamw", lr=1e9, weight_decay=1e9),
    ],
    ids=lambda optimizer: optimizer.name,
)
def test_optimisers_run_with_the_largest_rates(optimizer: Any) -> None:
    """With rates beyond float32 torch raises "value cannot be converted to type float without overflow"."""
    parameter = torch.nn.Parameter(torch.ones(3))
    steps = optimizer.create([parameter])
    for _ in range(3):
        parameter.grad = torch.ones(3)
        steps.step()
