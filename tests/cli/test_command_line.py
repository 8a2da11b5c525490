"""Behaviour of all commands: the default run, and the hint after an unknown command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import run_zoo
from zoo.cli.main import COMMANDS, SYNONYMS

TAKING_THE_LATEST = [
    ("export", "--onnx"),
    ("check",),
    ("check", "--matrix"),
    ("bisect",),
    ("bench",),
    ("report",),
    ("gradients",),
    ("gates",),
    ("inspect",),
    ("inspect", "--placement"),
]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two runs that contain only an invalid spec, so that each command stops after finding its run."""
    for age, name in enumerate(("last", "first")):
        spec = tmp_path / "runs" / name / "spec.yaml"
        spec.parent.mkdir(parents=True)
        spec.write_text("no: spec\n")
        os.utime(spec, (1e9 - age, 1e9 - age))
    monkeypatch.chdir(tmp_path)
    return Path("runs")


@pytest.mark.parametrize("arguments", TAKING_THE_LATEST, ids=" ".join)
def test_a_command_without_a_run_names_the_run_it_takes(runs: Path, arguments: tuple[str, ...]) -> None:
    """On stderr, as the first line, with --json too; and not if a run is given."""
    for options in ([], ["--json"]):
        outcome = run_zoo(*arguments, *options)
        assert outcome.stderr.startswith("runs/last: the latest run\nerror: ")
        assert outcome.stdout == ""
    assert "the latest run" not in run_zoo(*arguments, runs / "last").stderr


def test_no_other_command_takes_a_run_that_is_not_named(runs: Path) -> None:
    rest = set(COMMANDS) - {command for command, *_ in TAKING_THE_LATEST} - {"init"}
    assert not [command for command in rest if "the latest run" in run_zoo(command).stderr]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("train", "did you mean 'build'? "),
        ("Train", "did you mean 'build'? "),
        ("run", "did you mean 'build'? "),
        ("test", "did you mean 'check'? "),
        ("prove", "did you mean 'check'? "),
        ("convert", "did you mean 'export'? "),
        ("infer", "did you mean 'predict'? "),
        ("buld", "did you mean 'build'? "),
        ("xyzzy", ""),
    ],
)
def test_a_name_that_is_no_command(given: str, hint: str) -> None:
    outcome = run_zoo(given)
    assert outcome.exit_code == 2
    assert outcome.stderr.splitlines()[-1] == f"Error: no command {given!r}; {hint}'zoo --help' lists all."


def test_synonyms_lead_to_commands_and_are_none() -> None:
    assert set(SYNONYMS.values()) <= set(COMMANDS)
    assert not set(SYNONYMS) & set(COMMANDS)


def test_a_shell_completes_commands_and_options() -> None:
    """As README.md sets it up; in processes of their own, since click writes bytes."""
    assert completed("bash_complete", COMP_WORDS="zoo ex", COMP_CWORD="1") == ["plain,export"]
    assert completed("bash_complete", COMP_WORDS="zoo export --on", COMP_CWORD="2") == ["plain,--onnx"]
    assert "#compdef zoo" in completed("zsh_source")


def completed(instruction: str, **words: str) -> list[str]:
    environment = {**os.environ, "_ZOO_COMPLETE": instruction, **words}
    command = [sys.executable, "-m", "zoo"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()
