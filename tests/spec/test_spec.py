"""The spec: reading, all faults at once with their places, and overrides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from pydantic import field_validator

import zoo
from tests.support.specs import ALL_SPECS, SMALLEST, fields, reader
from zoo.errors import PluginError, SpecError, UsageError
from zoo.plugins.registry import Registry, load_registry
from zoo.spec.spec import Spec, SpecReader
from zoo.spec.strict_yaml import parse


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that paths in messages are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str, overrides: Sequence[str] = (), name: str = "s.yaml") -> Spec:
    Path(name).write_text(text, encoding="utf-8")
    return reader().read(Path(name), overrides)


def faults(text: str, overrides: Sequence[str] = ()) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(text, overrides)
    return list(caught.value.faults)


@pytest.mark.parametrize("path", ALL_SPECS, ids=lambda path: path.stem)
def test_every_spec_of_the_repository_is_valid_and_round_trips(path: Path, folder: Path) -> None:
    spec = reader().read(path)
    assert spec.name == path.stem
    assert read(spec.to_yaml()) == spec


def test_there_are_specs() -> None:
    assert {"rnn", "lstm", "gru", "bilstm"} <= {path.stem for path in ALL_SPECS}


NUMBER = st.floats(1e-9, 1e9)
OPTIMIZERS = st.fixed_dictionaries({"name": st.sampled_from(["sgd", "adam", "adamw"])}, optional={"lr": NUMBER})
TRAINING = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 10**29),  # the reader accepts at most 30 digits
        "optimizer": OPTIMIZERS,
        "clip_norm": st.none() | NUMBER,
        "metric": st.none() | st.text(),
        "early_stopping": st.none() | st.fixed_dictionaries({"patience": st.integers(1, 9)}),
        "deterministic": st.booleans(),
    },
)


@given(st.text(), TRAINING)
@settings(deadline=None)
def test_a_resolved_spec_reads_back_equal(description: str, training: dict[str, Any]) -> None:
    """The description may be any text: one that looks like a number or a key, a tab, an empty string."""
    value: dict[str, Any] = {**fields(SMALLEST), "name": "x", "description": description, "training": training}
    spec = reader().model.model_validate(value)
    assert reader().validate(parse(spec.to_yaml(), "s.yaml")) == spec


def test_defaults_are_written_out(folder: Path) -> None:
    spec = read(SMALLEST).to_dict()
    assert list(spec) == ["name", "description", "data", "encoder", "architecture", "task", "training"]
    assert spec["architecture"] == {
        "name": "gru",
        "hidden_size": 8,
        "bias": True,
        "reset": "after",
        "num_layers": 1,
        "dropout": 0.0,
        "pooling": None,
        "implementation": "auto",
        "direction": "forward",
    }
    assert spec["training"]["optimizer"] == {"name": "adamw", "lr": 1e-3, "weight_decay": 0.01}


def test_the_options_of_a_part_depend_on_its_name(folder: Path) -> None:
    (line,) = faults(SMALLEST.replace("name: gru", "name: lstm, reset: after"))
    assert line.startswith("s.yaml:2:28: architecture.reset: is not a field here")
    (line,) = faults(SMALLEST.replace("name: gru", "name: bilstm, direction: forward"))
    assert "architecture.direction: is not a field here" in line


FAULTY = """\
# a comment
training:
  epochs: 0
  batch_size: 2.5
  optimizer: {name: sgd, lr: -1, momentum: 1.0}
  schedule: {name: cosin}
  clip_norm: .nan
  early_stopping: {patience: true, delta: 1}
  precision: float16
  seed: -1
  deterministic: no
  "odd key\\n": 1
data: digits
architecture:
  hidden_size: "64"
  name: lstm
  hiden_size: 64
  lstm: 1
  num_layers: 1000
  dropout: 1.0
  bias: null
tsak: {name: classification}
description: [a, b]
"""

EXPECTED = """\
2:1: task: is required; known: classification, forecasting, language_modelling, multilabel, \
regression, step_regression, tagging
3:3: training.epochs: must be a positive integer, got 0
4:3: training.batch_size: must be an integer, got 2.5
5:26: training.optimizer.lr: must be greater than 0, got -1
5:34: training.optimizer.momentum: must be less than 1, got 1.0
6:14: training.schedule.name: 'cosin' is not known (did you mean 'cosine'?); known: constant, cosine, one_cycle
7:3: training.clip_norm: must be a finite number, got nan
8:20: training.early_stopping.patience: must be an integer, got true
8:36: training.early_stopping.delta: is not a field here; fields: patience
9:3: training.precision: 'float16' is not known (did you mean 'bfloat16'?); known: float32, bfloat16
10:3: training.seed: must be at least 0, got -1
11:3: training.deterministic: must be true or false, got 'no'
12:3: training.'odd key\\n': is not a field here; fields: batch_size, clip_norm, deterministic, early_stopping, \
epochs, freeze, metric, optimizer, precision, schedule, seed, start_from
13:1: data: must be a block of fields with a name (adding, arrays, characters, copy, csv, digits, mnist, recordings, \
series, text), got 'digits'
15:3: architecture.hidden_size: must be an integer, got '64'
17:3: architecture.hiden_size: is not a field here (did you mean 'hidden_size'?); fields: bias, direction, dropout, \
hidden_size, implementation, name, num_layers, pooling
18:3: architecture.lstm: is not a field here; fields: bias, direction, dropout, hidden_size, implementation, name, \
num_layers, pooling
19:3: architecture.num_layers: must be at most 100, got 1000
20:3: architecture.dropout: must be less than 1, got 1.0
21:3: architecture.bias: must be true or false, got nothing
22:1: tsak: is not a field here (did you mean 'task'?); fields: architecture, data, description, encoder, \
name, task, training
23:1: description: must be text, got ['a', 'b']
"""


def test_every_fault_at_once_in_the_order_of_the_file(folder: Path) -> None:
    assert faults(FAULTY) == [f"s.yaml:{line}" for line in EXPECTED.splitlines()]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("{}", "s.yaml:2:1: architecture.name: is required; known: bilstm, gru, lstm, rnn"),
        ("", "s.yaml:2:1: architecture: must be a block of fields with a name (bilstm, gru, lstm, rnn), got nothing"),
        (
            "[gru]",
            "s.yaml:2:1: architecture: must be a block of fields with a name (bilstm, gru, lstm, rnn), got ['gru']",
        ),
        ("{name: ggru}", "s.yaml:2:16: architecture.name: 'ggru' is not known (did you mean 'gru'?); known: bilstm, "),
        ("{name: transformer}", "s.yaml:2:16: architecture.name: 'transformer' is not known; known: bilstm, gru, lstm"),
        ("{name: 3}", "s.yaml:2:16: architecture.name: must be one of bilstm, gru, lstm, rnn, got 3"),
        ("{name: null}", "s.yaml:2:16: architecture.name: must be one of bilstm, gru, lstm, rnn, got nothing"),
        ("{name: {name: gru}}", "s.yaml:2:16: architecture.name: must be one of bilstm, gru, lstm, rnn, got {'name'"),
        ("{name: gru}", "s.yaml:2:1: architecture.hidden_size: is required"),
    ],
)
def test_a_wrong_part(part: str, expected: str, folder: Path) -> None:
    (line,) = faults(SMALLEST.replace("{name: gru, hidden_size: 8}", part))
    assert line.startswith(expected)


def test_long_values_are_cut(folder: Path) -> None:
    (line,) = faults(SMALLEST.replace("8", "x" * 1000))
    assert line == "s.yaml:2:27: architecture.hidden_size: must be an integer, got '" + "x" * 58 + "…"


# the name


def test_the_name_is_the_files_unless_given(folder: Path) -> None:
    assert read(SMALLEST, name="my-run.v2.yaml").name == "my-run.v2"
    assert read("name: other\n" + SMALLEST).name == "other"
    assert read(SMALLEST, ["name=third"]).name == "third"


def test_a_file_whose_name_is_no_valid_run_name(folder: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read(SMALLEST, name="my run.yaml")
    assert str(caught.value) == (
        "my run.yaml (its file's name): name: must be up to 64 letters, digits, '.', '_' or '-', a letter or digit "
        "first, got 'my run'"
    )
    assert read(SMALLEST, ["name=my-run"], name="my run.yaml").name == "my-run"


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "-x", "x" * 65, "ü", '""', '"a\\n"', '"a\\0"', "5", "null"])
def test_invalid_run_names(name: str, folder: Path) -> None:
    (line,) = faults(f"{SMALLEST}name: {name}\n")
    assert line.startswith("s.yaml:4:1: name: must be ")


# files without fields


def test_no_such_file(folder: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^none\.yaml: cannot be read: No such file or directory; give the path of a spec$"
    ):
        reader().read(Path("none.yaml"))
    with pytest.raises(UsageError, match=r"^\.: cannot be read: Is a directory"):
        reader().read(Path())
    (folder / "bilstm.yaml").touch()
    with pytest.raises(UsageError, match=r"No such file or directory; did you mean .*/bilstm\.yaml\?$"):
        reader().read(folder / "bilstm.yml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "1:1: expected fields such as 'data:' and 'architecture:', got nothing"), ("\n- a", "2:1: ")],
)
def test_no_fields(text: str, expected: str, folder: Path) -> None:
    (line,) = faults(text)
    assert line.startswith(f"s.yaml:{expected}")


# overrides


def test_overrides_change_nested_fields_and_make_new_blocks(folder: Path) -> None:
    spec = read(
        SMALLEST,
        [
            "architecture.hidden_size=16",
            "training.optimizer={name: sgd, lr: 1e-2}",
            "training.optimizer.momentum=0.9",
            "training.early_stopping.patience=3",
            "description=a = b",
        ],
    ).to_dict()
    assert spec["architecture"]["hidden_size"] == 16
    assert spec["training"]["optimizer"] == {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 0.0}
    assert spec["training"]["early_stopping"] == {"patience": 3}
    assert spec["training"]["epochs"] == 20


def test_the_last_override_wins_and_replaces_a_faulty_value(folder: Path) -> None:
    assert read(SMALLEST.replace("8", "no"), ["architecture.hidden_size=1", "architecture.hidden_size=2"]).architecture
    spec = read(SMALLEST, ["architecture={name: rnn, hidden_size: 5}"]).to_dict()
    assert spec["architecture"]["name"] == "rnn"


def test_an_override_is_shown_as_the_place_of_its_faults(folder: Path) -> None:
    overrides = ["training.epochs=many", "architecture={name: rnn, size: 5}", "training.early_stopping.wait=1", "a.b=1"]
    assert faults(SMALLEST.replace("digits", "digit"), overrides) == [
        "--set training.epochs=many: training.epochs: must be an integer, got 'many'",
        "--set architecture={name: rnn, size: 5}: architecture.hidden_size: is required",
        "--set architecture={name: rnn, size: 5}: architecture.size: is not a field here; fields: bias, direction, "
        "dropout, hidden_size, implementation, name, nonlinearity, num_layers, pooling",
        "--set training.early_stopping.wait=1: training.early_stopping.patience: is required",
        "--set training.early_stopping.wait=1: training.early_stopping.wait: is not a field here; fields: patience",
        "--set a.b=1: a: is not a field here; fields: architecture, data, description, encoder, name, task, training",
        "s.yaml:1:8: data.name: 'digit' is not known (did you mean 'digits'?); known: adding, "
        "arrays, characters, copy, csv, digits, mnist, recordings, series, text",
    ]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epochs=[1", "--set training.epochs=[1: its value:1:3: the file ends where"),
        ("x={a: 1, a: 2}", "--set x={a: 1, a: 2}: its value:1:8: duplicate key 'a'; first defined at its value:1:2"),
        ("training=!!set {a}", "--set training=!!set {a}: its value:1:1: the tag"),
        ("data.name.x=1", "--set data.name.x=1: name holds 'digits', which has no fields"),
        ("training.epochs=", "--set training.epochs=: training.epochs: must be an integer, got nothing"),
        (
            "data=",
            "--set data=: data: must be a block of fields with a name (adding, arrays, characters, copy, csv, digits, "
            "mnist, recordings, series, text), got nothing",
        ),
        ("x=\x1b[31m", r"--set 'x=\x1b[31m': its value:1:1: the character '\x1b' is not text"),
    ],
)
def test_overrides_with_a_faulty_value(override: str, expected: str, folder: Path) -> None:
    (line,) = faults(SMALLEST, [override])
    assert line.startswith(expected)
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    "override", ["", "training.epochs", "=3", ".=3", "training..epochs=3", "training.=3", ".a=3", "x\ny=1"]
)
def test_overrides_of_another_form(override: str, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"expected FIELD\.FIELD=VALUE, such as training\.epochs=3$") as caught:
        read(SMALLEST, [override])
    shown = override if override.isprintable() else repr(override)
    assert str(caught.value).startswith(f"--set {shown}:")


# the options of an external plugin


class Recording(zoo.DataSource):
    """A data source with options of types that YAML lacks."""

    name = "recording"

    class Config(zoo.Config):
        folder: Path = Path("here")
        channels: tuple[int, ...] = (0,)
        rate: int | str = 1
        discriminator: bool = False

        @field_validator("folder")
        @classmethod
        def _not_the_root(cls, folder: Path) -> Path:
            if folder == Path("/"):
                raise ValueError("must not be\nthe root")
            return folder

    def load(self, config: zoo.Config) -> zoo.Dataset:
        raise NotImplementedError


@cache
def recording_reader() -> SpecReader:
    installed = load_registry()
    return SpecReader.of(Registry(installed.architectures, {"recording": Recording}, installed.tasks))


def read_recording(options: str) -> Spec:
    text = SMALLEST.replace("{name: digits}", f"{{name: recording, {options}}}") + "name: x\n"
    return recording_reader().validate(parse(text, "s.yaml"))


def test_options_of_richer_types_round_trip() -> None:
    spec = read_recording("folder: /data, channels: [1, 2], discriminator: true")
    assert spec.to_dict()["data"] == {
        "name": "recording",
        "folder": "/data",
        "channels": [1, 2],
        "rate": 1,
        "discriminator": True,
    }
    assert recording_reader().validate(parse(spec.to_yaml(), "s.yaml")) == spec
    schema = Draft7Validator(recording_reader().json_schema())
    assert schema.is_valid(spec.to_dict()), "a field may be called discriminator"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("folder: /", ["s.yaml:1:25: data.folder: must not be the root, got '/'"]),
        ("channels: [1, x]", ["s.yaml:1:39: data.channels.1: must be an integer, got 'x'"]),
        ("channels: 1", ["s.yaml:1:25: data.channels: must be a list, got 1"]),
        ("rate: []", [f"s.yaml:1:25: data.rate: must be {kind}, got []" for kind in ("an integer", "text")]),
    ],
)
def test_faults_in_options_of_richer_types(options: str, expected: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        read_recording(options)
    assert list(caught.value.faults) == expected


def test_the_only_plugin_of_a_kind_must_be_named_too() -> None:
    with pytest.raises(SpecError, match=r"^s\.yaml:1:8: data\.name: 'digits' is not known; known: recording$"):
        recording_reader().validate(parse(SMALLEST + "name: x\n", "s.yaml"))


@pytest.mark.parametrize("part", ["architectures", "data", "tasks"])
def test_without_any_plugin_of_a_kind(part: str) -> None:
    nothing: dict[str, Any] = {part: {}}
    with pytest.raises(PluginError, match=f"no usable plugin provides any {part.removesuffix('s')}; see 'zoo plugins'"):
        SpecReader.of(replace(load_registry(), **nothing))
