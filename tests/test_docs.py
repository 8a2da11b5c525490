"""Documents: their commands run, their examples work, their links resolve and their tables are complete."""

from __future__ import annotations

import re
import shlex
import tomllib
import types
from math import sin
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from tests.support.command import run_zoo
from tests.support.paths import ROOT
from zoo.cli.main import COMMANDS
from zoo.entry_points import EntryPoint, entry_points
from zoo.plugins.registry import build_registry, load_registry
from zoo.spec.spec import SpecReader
from zoo.spec.strict_yaml import parse

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "*/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)


def blocks(document: Path, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_readme_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command of the transcript, in order, in an empty folder; then the programs below it."""
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^\$ zoo (.*)$", "\n".join(blocks(ROOT / "README.md", "console")), re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        outcome = run_zoo(*shlex.split(command))
        assert outcome.exit_code == 0, f"zoo {command}: {outcome.stderr}"
    predicting, training, exporting = blocks(ROOT / "README.md", "python")
    exec(predicting, {})  # noqa: S102  (document of this repository)
    assert capsys.readouterr().out.strip() in {str(digit) for digit in range(10)}
    exec(training, {})  # noqa: S102  (document of this repository)
    result, label = capsys.readouterr().out.splitlines()
    assert result.endswith(" runs/gru/onnx/model.onnx")
    assert 0 <= float(result.split()[0]) <= 1
    assert label in ("falls", "rises")
    exec(exporting, {})  # noqa: S102  (document of this repository)
    assert (tmp_path / "counter.onnx").is_file()


@pytest.mark.slow
def test_the_commands_for_your_own_data_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a series of 200 rows, a few texts and a page of prose under the names that the commands use."""
    monkeypatch.chdir(tmp_path)
    rows = [f"2026-01-01T{row // 60:02}:{row % 60:02},{100 + 10 * sin(row / 3):.3f}\n" for row in range(200)]
    Path("my.csv").write_text("time,sales\n" + "".join(rows))
    for label, word in (("bad", "awful"), ("good", "fine")):
        Path(f"{label}.txt").write_text("".join(f"a {word} thing, the {number}th\n" for number in range(40)))
    Path("my.txt").write_text("Once upon a time there was a cell, and it had a state.\n" * 60)
    commands = re.findall(r"^zoo (.*)$", "\n".join(blocks(ROOT / "README.md", "sh")), re.MULTILINE)
    assert len(commands) >= 9
    for command in commands:
        outcome = run_zoo(*shlex.split(command))
        assert outcome.exit_code == 0, f"zoo {command}: {outcome.stderr}"
    header, *forecast = Path("forecast.csv").read_text().splitlines()
    assert header == "source,step,sales"
    assert [line.rpartition(",")[0] for line in forecast] == ["my.csv,1"]
    assert 80 < float(forecast[0].rpartition(",")[2]) < 120  # in the unit of the file
    chunks = {"chunk": np.array([[0, 1, 2]]), "next_chunk": np.array([[1]])}
    for program in blocks(ROOT / "exporters" / "README.md", "python"):
        exec(program, chunks)  # noqa: S102  (document of this repository)
    assert chunks["then"].shape[:2] == (1, 1)


def test_the_install_for_the_cpu_names_every_requirement() -> None:
    """pip cannot resolve the list itself, since ONNX Runtime for the CPU replaces the required GPU package."""
    (block,) = (block for block in blocks(ROOT / "README.md", "sh") if "--no-deps" in block)
    words = [word for line in block.splitlines() for word in shlex.split(line)]
    options = {word for word in words if word.startswith("-")} | {"pip", "install", ".", "constraints.txt"}
    named = {word for word in words if word not in options and not word.startswith("https:")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert named == {Requirement(text).name for text in project["dependencies"]} - {"onnxruntime-gpu"}


def test_makefile_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"\bmake (\w+)", (ROOT / "README.md").read_text())
    assert {"demo", "test"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_ci_calls_the_test_command_of_the_readme() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text):
        assert (document.parent / target).exists(), target


def test_tutorial_cell_trains_and_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the unchanged code and spec of the plugin page."""
    (source,) = blocks(ROOT / "plugins" / "README.md", "python")
    module = types.ModuleType("my_cells")
    exec(compile(source, "my_cells.py", "exec"), module.__dict__)  # noqa: S102  (document of this repository)
    monkeypatch.setitem(__import__("sys").modules, "my_cells", module)
    registry = build_registry([*entry_points(), EntryPoint("mgu", "my_cells", "my-cells 1.0")])
    assert registry.faults == []
    (spec_text,) = blocks(ROOT / "plugins" / "README.md", "yaml")
    spec_file = tmp_path / "mgu.yaml"
    spec_file.write_text(spec_text)
    monkeypatch.setattr("zoo.cli.output.usable_plugins", lambda: registry)
    outcome = run_zoo("build", spec_file, "--out", tmp_path / "run", "--set", "training.epochs=2")
    assert outcome.exit_code == 0, outcome.stderr
    outcome = run_zoo("export", "--onnx", tmp_path / "run", "--provider", "cpu")
    assert outcome.exit_code == 0, outcome.stderr


def test_every_field_is_in_the_spec_page() -> None:
    page = (ROOT / "specs" / "README.md").read_text()
    schema = SpecReader.of(load_registry()).json_schema()
    for name, part in schema["definitions"].items():
        for field in part.get("properties", {}):
            assert f"`{field}`" in page or f"{field}:" in page, f"{name}.{field}"


def test_examples_in_the_spec_page_are_valid() -> None:
    reader = SpecReader.of(load_registry())
    for text in blocks(ROOT / "specs" / "README.md", "yaml"):
        document = parse(text, "specs/README.md")
        assert isinstance(document.value, dict)
        reader.validate(document)


def test_every_spec_is_in_the_spec_page() -> None:
    page = (ROOT / "specs" / "README.md").read_text()
    for spec in (ROOT / "specs").rglob("*.yaml"):
        assert str(spec.relative_to(ROOT / "specs")) in page, spec


def test_every_command_has_help() -> None:
    for command in COMMANDS:
        outcome = run_zoo(command, "--help")
        assert outcome.exit_code == 0
        assert "--json" in outcome.stdout, command
        assert "--debug" in outcome.stdout, command
