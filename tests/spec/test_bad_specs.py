"""Bad specs: one clear line for each fault, exit code 3, and no traceback."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.command import Outcome, run_zoo
from zoo.spec.strict_yaml import dump


def spec(
    *,
    data: str = "{name: digits}",
    architecture: str = "{name: gru, hidden_size: 8}",
    task: str = "{name: classification}",
    training: str = "{epochs: 1}",
    more: str = "",
) -> str:
    """The text of a spec, one line for each part; valid by default."""
    return f"data: {data}\narchitecture: {architecture}\ntask: {task}\ntraining: {training}\n{more}\n"


def gru(options: str) -> str:
    return spec(architecture=f"{{name: gru, {options}}}")


def size(hidden_size: int) -> str:
    return gru(f"hidden_size: {hidden_size}")


def training(options: str) -> str:
    return spec(training=f"{{{options}}}")


BOMB = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)), "training: *a9"]
)

BAD: dict[str, tuple[str | bytes, str]] = {
    # not a spec
    "empty": ("", "1:1: expected fields such as 'data:' and 'architecture:', got nothing"),
    "only comments": ("# nothing here\n", "1:1: expected fields such as"),
    "only null": ("null\n", "1:1: expected fields such as"),
    "a word": ("hello\n", "1:1: expected fields such as 'data:' and 'architecture:', got 'hello'"),
    "a number": ("3\n", "got 3"),
    "a list": ("- data\n- architecture\n", "1:1: expected fields such as"),
    "binary": (bytes(range(128, 256)), "1:1: the byte 0x80 is not UTF-8 text; save the spec as UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "1:1: the byte 0x89 is not UTF-8 text"),
    "zeros": (b"\0" * 1000, "1:1: the character '\\x00' is not text; a spec is a text file"),
    "UTF-16": (spec().encode("utf-16"), "1:1: the byte 0xff is not UTF-8 text"),
    "Latin-1": (spec(more="description: Größe").encode("latin-1"), "5:16: the byte 0xf6 is not UTF-8 text"),
    "an escape sequence": (spec(more="description: \x1b[31m"), "5:14: the character '\\x1b' is not text"),
    "too long": (spec(more="# " + "x" * 100_000), "is longer than 100,000 bytes"),
    "a JSON document cut off": (
        '{"data": {"name": "digits"}, "architecture": {',
        "the file ends where ',' or a closing",
    ),
    # not YAML
    "truncated in a block": (spec()[:45], "the file ends where ',' or a closing bracket was expected"),
    "truncated in a quote": ('data: {name: "dig', "the quote that began above is never closed"),
    "a tab": ("data:\n\tname: digits\n", "2:1: a tab is not allowed here; indent with spaces"),
    "a tab between fields": (spec(more="name:\t\tx"), "5:6: a tab is not allowed here"),
    "uneven indentation": (
        "data:\n    name: digits\n  folder: x\n",
        "3:3: does not fit the lines above; check the indentation",
    ),
    "two colons": ("description: a: b\n", "1:15: ': ' is not allowed here; check the indentation and the line above"),
    "a key without a colon": (
        "data\narchitecture: {}\n",
        "2:13: ': ' is not allowed here; check the indentation and the",
    ),
    "a last key without a colon": (spec(more="name"), "expected ': ' after a key"),
    "two documents": (spec() + "---\n" + spec(), "6:1: a second document begins here; a spec has only one"),
    "a Python object": (
        spec(data="!!python/object/apply:os.system ['true']"),
        "1:7: the tag 'tag:yaml.org,2002:python/",
    ),
    "a tag": (spec(data="!digits {}"), "1:7: the tag '!digits' is not allowed; a spec holds plain values only"),
    "an undefined alias": (spec(data="*digits"), "1:7: is not YAML: found undefined alias 'digits'"),
    "an alias bomb": (BOMB, "too large: a spec has at most 10,000 values, aliases expanded, and 50 levels"),
    "an alias of itself": (spec(data="&d {name: *d}"), "too large: a spec has at most"),
    "too deep": (spec(data="[" * 60 + "]" * 60), "too large: a spec has at most"),
    "far too deep": ("[" * 50_000, "is nested too deeply"),
    "a duplicate part": (spec(more="task: {name: classification}"), "5:1: duplicate key 'task'; first defined at "),
    "a duplicate field": (gru("hidden_size: 8, hidden_size: 9"), "2:43: duplicate key 'hidden_size'"),
    "a block as a key": (spec(more="{a: 1}: 2"), "5:1: a key must be a plain word"),
    # parts
    "no data": ("architecture: {name: gru, hidden_size: 8}\ntask: {name: classification}", "1:1: data: is required"),
    "null data": (
        spec(data="null"),
        "1:1: data: must be a block of fields with a name (adding, arrays, characters, copy, csv, digits, mnist, "
        "recordings, series, text), got nothing",
    ),
    "a list for a block": (spec(architecture="[gru]"), "2:1: architecture: must be a block of fields with a name"),
    "a word for a block": (spec(task="classification"), "3:1: task: must be a block of fields with a name"),
    "null training": (spec(training="null"), "4:1: training: must be a block of fields, got nothing"),
    "a list for training": (spec(training="[epochs, 1]"), "4:1: training: must be a block of fields"),
    "no name": (
        spec(architecture="{hidden_size: 8}"),
        "2:1: architecture.name: is required; known: bilstm, gru, lstm, rnn",
    ),
    "an unknown part": (spec(more="model: {}"), "5:1: model: is not a field here"),
    "a part with a capital": (
        spec(more="Training: {}"),
        "5:1: Training: is not a field here (did you mean 'training'?)",
    ),
    "a merge key": (
        spec(data="&d {name: digits}", task="{<<: *d, name: classification}"),
        "3:8: task.'<<': is not a field here",
    ),
    # names
    "unknown architecture": (
        spec(architecture="{name: transformer}"),
        "2:16: architecture.name: 'transformer' is not known",
    ),
    "misspelt architecture": (spec(architecture="{name: bilsmt}"), "'bilsmt' is not known (did you mean 'bilstm'?)"),
    "unknown data": (
        spec(data="{name: imagenet}"),
        "1:8: data.name: 'imagenet' is not known; known: adding, arrays, characters, copy, csv, digits, mnist, "
        "recordings, series, text",
    ),
    "unknown task": (
        spec(task="{name: classify}"),
        "3:8: task.name: 'classify' is not known (did you mean 'classification'?)",
    ),
    "unknown optimiser": (training("optimizer: {name: lion}"), "4:24: training.optimizer.name: 'lion' is not known"),
    "unknown schedule": (training("schedule: {name: linear}"), "4:23: training.schedule.name: 'linear' is not known"),
    "unknown metric": (
        training("metric: bleu"),
        "4:12: training.metric: 'bleu' is not known; known: accuracy, macro_f1",
    ),
    "unknown pooling": (gru("hidden_size: 8, pooling: first"), "architecture.pooling: 'first' is not known"),
    "unknown direction": (gru("hidden_size: 8, direction: both"), "architecture.direction: 'both' is not known"),
    "a name that is a list": (
        spec(architecture="{name: [gru]}"),
        "architecture.name: must be one of bilstm, gru, lstm",
    ),
    "an option of another architecture": (
        gru("hidden_size: 8, nonlinearity: relu"),
        "architecture.nonlinearity: is not a field here",
    ),
    "a fixed direction": (
        spec(architecture="{name: bilstm, hidden_size: 8, direction: forward}"),
        "architecture.direction: is not a field here",
    ),
    "an option of another optimiser": (
        training("optimizer: {name: adam, momentum: 0.9}"),
        "training.optimizer.momentum: is not",
    ),
    # types
    "a size in quotes": (gru("hidden_size: '8'"), "2:27: architecture.hidden_size: must be an integer, got '8'"),
    "half a size": (gru("hidden_size: 8.5"), "must be an integer, got 8.5"),
    "a whole float": (gru("hidden_size: 8.0"), "must be an integer, got 8.0"),
    "a boolean size": (gru("hidden_size: true"), "must be an integer, got true"),
    "a null size": (gru("hidden_size:"), "must be an integer, got nothing"),
    "a list of sizes": (gru("hidden_size: [8, 8]"), "must be an integer, got [8, 8]"),
    "yes as in YAML 1.1": (gru("hidden_size: 8, bias: yes"), "architecture.bias: must be true or false, got 'yes'"),
    "1 for true": (gru("hidden_size: 8, bias: 1"), "architecture.bias: must be true or false, got 1"),
    "a boolean rate": (
        training("optimizer: {name: adam, lr: true}"),
        "training.optimizer.lr: must be a number, got true",
    ),
    "a rate in words": (training("optimizer: {name: adam, lr: small}"), "lr: must be a number, got 'small'"),
    "a rate with a comma": (training("optimizer: {name: adam, lr: '0,1'}"), "lr: must be a number, got '0,1'"),
    "a rate beyond float32": (
        training("optimizer: {name: adam, lr: 1e308}"),
        "training.optimizer.lr: must be at most 1e+09, got 1e+308",
    ),
    "a decay beyond float32": (
        training("optimizer: {name: sgd, weight_decay: 1e308}"),
        "training.optimizer.weight_decay: must be at most 1e+09, got 1e+308",
    ),
    "a number as text": (spec(more="description: 5"), "5:1: description: must be text, got 5"),
    # ranges
    "size 0": (size(0), "architecture.hidden_size: must be a positive integer, got 0"),
    "a negative size": (size(-64), "must be a positive integer, got -64"),
    "size 10^6": (size(10**6), "2:1: architecture: training this model takes 48,0"),
    "size 10^9": (
        spec(architecture="{name: rnn, hidden_size: 1000000000}"),
        "2:1: architecture: training this model takes 16,000,000,320 GB for the parameters alone, and this machine",
    ),
    "three of size 10^9": (size(10**9), "2:1: architecture: the number of parameters is too large to represent"),
    "size 10^18": (
        size(10**18),
        "2:1: architecture: the number of parameters is too large to represent; lower hidden_size",
    ),
    "size 10^29": (size(10**29), "2:1: architecture: the number of parameters is too large to represent"),
    "size 10^30": (size(10**30), "2:40: a number of 31 digits is too large for any field"),
    "size of a million digits": (gru(f"hidden_size: {'9' * 90_000}"), "a number of 90000 digits"),
    "too many layers": (
        gru("hidden_size: 8, num_layers: 1000000000"),
        "num_layers: must be at most 100, got 1000000000",
    ),
    "no layers": (gru("hidden_size: 8, num_layers: 0"), "num_layers: must be a positive integer, got 0"),
    "dropout 1": (gru("hidden_size: 8, dropout: 1"), "architecture.dropout: must be less than 1, got 1"),
    "dropout NaN": (gru("hidden_size: 8, dropout: .nan"), "architecture.dropout: must be a finite number, got nan"),
    "a size of NaN": (gru("hidden_size: .nan"), "must be an integer, got nan"),
    "a negative rate": (training("optimizer: {name: sgd, lr: -0.1}"), "lr: must be greater than 0, got -0.1"),
    "an infinite rate": (training("optimizer: {name: sgd, lr: .inf}"), "lr: must be a finite number, got inf"),
    "a rate beyond floats": (training("optimizer: {name: sgd, lr: 1e999}"), "lr: must be a finite number, got inf"),
    "momentum 1": (training("optimizer: {name: sgd, momentum: 1}"), "momentum: must be less than 1, got 1"),
    "warm-up throughout": (training("schedule: {name: cosine, warmup: 1.0}"), "warmup: must be less than 1, got 1.0"),
    "no epochs": (training("epochs: 0"), "training.epochs: must be a positive integer, got 0"),
    "an empty batch": (training("batch_size: 0"), "training.batch_size: must be a positive integer, got 0"),
    "no patience": (training("early_stopping: {patience: 0}"), "patience: must be a positive integer, got 0"),
    "patience left out": (training("early_stopping: {}"), "training.early_stopping.patience: is required"),
    "gradients clipped to 0": (training("clip_norm: 0"), "training.clip_norm: must be greater than 0, got 0"),
    "an empty list": (spec(data="{name: csv, inputs: []}"), "data.inputs: must have at least 1 entry, got none"),
    "a negative seed": (training("seed: -1"), "training.seed: must be at least 0, got -1"),
    "a seed too large": (training("seed: 2147483648"), "training.seed: must be less than 2147483648"),
    # run names
    "a run outside runs": (spec(more="name: ../x"), "5:1: name: must be up to 64 letters, digits, '.', '_' or '-'"),
    "a run at the root": (spec(more="name: /tmp/x"), "5:1: name: must be up to 64 letters"),
    "a hidden run": (spec(more="name: .x"), "5:1: name: must be up to 64 letters"),
    "a run without a name": (spec(more="name: ''"), "5:1: name: must be up to 64 letters"),
    "a run with a space": (spec(more="name: my run"), "5:1: name: must be up to 64 letters"),
    # options that contradict each other
    "a missing kernel": (
        gru("hidden_size: 8, reset: before, implementation: fused"),
        "2:58: architecture.implementation: gru with these options has no fused kernel; use 'cell' or 'auto'",
    ),
}


def dry_run(text: str | bytes, folder: Path) -> tuple[Path, Outcome]:
    path = folder / "bad.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path, run_zoo("build", path, "--dry-run")


def assert_clear(path: Path, outcome: Outcome) -> None:
    """Check that stderr contains only printable lines that begin with the file and, where there is one, the place."""
    assert outcome.exit_code == 3, outcome
    assert outcome.stdout == ""
    lines = outcome.stderr.splitlines()
    assert lines
    for line in lines:
        assert re.match(rf"error: {re.escape(str(path))}(:\d+:\d+)?: \S", line), line
        assert line.isprintable()


def test_there_are_at_least_fifty() -> None:
    assert len(BAD) >= 50


def test_the_default_spec_of_these_tests_is_valid(tmp_path: Path) -> None:
    _, outcome = dry_run(spec(more="name: good"), tmp_path)
    assert (outcome.exit_code, outcome.stderr) == (0, "")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_spec_gets_one_clear_line(name: str, tmp_path: Path) -> None:
    text, expected = BAD[name]
    path, outcome = dry_run(text, tmp_path)
    assert_clear(path, outcome)
    assert sum(expected in line for line in outcome.stderr.splitlines()) == 1, outcome.stderr
    assert list(tmp_path.iterdir()) == [path], "no other file was written"


def test_every_fault_gets_a_line_of_its_own(tmp_path: Path) -> None:
    text = spec(data="{name: x}", architecture="{name: gru, hidden_size: -1, x: 1}", task="{}", training="{epochs: no}")
    path, outcome = dry_run(text, tmp_path)
    assert_clear(path, outcome)
    places = [line.split(": ")[1].removeprefix(f"{path}:") for line in outcome.stderr.splitlines()]
    assert places == ["1:8", "2:27", "2:44", "3:1", "4:12"]


def test_json_keeps_stdout_clean(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(spec(task="{}"))
    assert_clear(path, run_zoo("build", path, "--dry-run", "--json"))


@pytest.mark.parametrize(
    ("arguments", "exit_code", "expected"),
    [
        (["elsewhere.txt"], 2, "elsewhere.txt: cannot be read: No such file or directory; give the path of a spec"),
        (["."], 2, ".: cannot be read: Is a directory; give the path of a spec"),
        ([], 2, "Missing argument 'SPEC'"),
        (["good.yaml", "more.yaml"], 2, "unexpected extra argument"),
        (["good.yaml", "--set", "training.epochs"], 2, "--set training.epochs: expected FIELD.FIELD=VALUE"),
        (
            ["good.yaml", "--set", "training.epochs=0"],
            3,
            "--set training.epochs=0: training.epochs: must be a positive",
        ),
        (["good.yaml", "--set", "training.epoch=1"], 3, "is not a field here (did you mean 'epochs'?)"),
        (["good.yaml", "--set", "training.metric=x"], 3, "--set training.metric=x: training.metric: 'x' is not known"),
        (["good.yaml", "--set", "architecture=[1"], 3, "--set architecture=[1: its value:1:3: the file ends where"),
        (["good.yaml", "--set", "name=../x"], 3, "--set name=../x: name: must be up to 64 letters"),
        (["good.yaml", "--sett", "a=1"], 2, "No such option"),
    ],
)
def test_bad_arguments(
    arguments: list[str], exit_code: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(spec())
    outcome = run_zoo("build", *arguments, "--dry-run")
    assert outcome.exit_code == exit_code
    assert expected in outcome.stderr
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr


def test_debug_shows_the_trace(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("")
    with pytest.raises(Exception, match="expected fields such as"):
        run_zoo("build", path, "--dry-run", "--debug")
    assert run_zoo("build", path, "--dry-run").exit_code == 3, "without the option there is no traceback"


# mutated specs

VALID: dict[str, Any] = {
    "name": "x",
    "description": "text",
    "data": {"name": "digits"},
    "architecture": {
        "name": "gru",
        "hidden_size": 4,
        "num_layers": 2,
        "reset": "after",
        "pooling": "mean",
        "bias": True,
    },
    "task": {"name": "classification"},
    "training": {
        "epochs": 2,
        "batch_size": 64,
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.5},
        "schedule": {"name": "cosine", "warmup": 0.1},
        "early_stopping": {"patience": 3},
        "metric": "accuracy",
        "seed": 1,
    },
}
WORDS = [
    "",
    "name",
    "gru",
    "lstm",
    "sgd",
    "cosine",
    "before",
    "fused",
    "loss",
    "../x",
    "ä\n",
    "training",
    "hidden_size",
]
# The sizes are either small or larger than the memory of any machine, so that the results do not depend on the machine.
NUMBERS = [-1, 0, 1, 3, 2.5, 10**12, 10**18, 10**29, float("nan"), float("-inf")]
VALUES: list[Any] = [None, True, False, *NUMBERS, [], [1], {}, *WORDS]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A valid spec with up to four changes: a key dropped or renamed, or a value replaced."""
    value = deepcopy(VALID)
    for _ in range(draw(st.integers(1, 4))):
        block = value
        while inner := [item for item in block.values() if isinstance(item, dict) and item]:
            if draw(st.booleans()):
                break
            block = draw(st.sampled_from(inner))
        if not block:
            continue
        key = draw(st.sampled_from(sorted(block)))
        change = draw(st.sampled_from(["drop", "replace", "rename", "graft"]))
        if change == "drop":
            del block[key]
        elif change == "replace":
            block[key] = deepcopy(draw(st.sampled_from(VALUES)))
        elif change == "rename":
            block[draw(st.sampled_from(WORDS) | st.text(max_size=5))] = block.pop(key)
        else:
            block[key] = deepcopy(VALID[draw(st.sampled_from(sorted(VALID)))])
    return value


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutated())
def test_a_mutated_spec_is_valid_or_gets_clear_lines(tmp_path: Path, value: dict[str, Any]) -> None:
    path, outcome = dry_run(dump(value), tmp_path)
    if outcome.exit_code != 0:
        assert_clear(path, outcome)
