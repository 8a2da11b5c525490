"""Starter specs: `zoo init`, and `zoo build` with the name of a starter spec."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import run_zoo
from tests.support.paths import ROOT
from zoo.spec.starter import resolve, starter_specs

NAMES = sorted(path.stem for path in ROOT.glob("specs/*.yaml"))


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_in_a_clone_they_are_the_files_of_specs() -> None:
    assert starter_specs() == {name: ROOT / "specs" / f"{name}.yaml" for name in NAMES}
    assert {"bilstm", "characters", "forecast", "sentiment"} <= set(NAMES)


def test_init_writes_all_and_names_the_next_command() -> None:
    outcome = run_zoo("init")
    assert outcome.exit_code == 0
    assert outcome.stdout.splitlines() == [f"specs/{name}.yaml" for name in NAMES]
    assert outcome.stderr == "next: zoo build specs/bilstm.yaml\n"
    for name in NAMES:
        assert Path(f"specs/{name}.yaml").read_bytes() == (ROOT / "specs" / f"{name}.yaml").read_bytes()


def test_init_writes_to_a_folder_with_any_name() -> None:
    outcome = run_zoo("init", "my specs/a", "--json")
    report = json.loads(outcome.stdout)
    assert report["folder"] == "my specs/a"
    assert report["specs"] == [f"my specs/a/{name}.yaml" for name in NAMES]
    assert all(Path(path).is_file() for path in report["specs"])
    assert run_zoo("init", "it's").stderr == "next: zoo build 'it'\"'\"'s/bilstm.yaml'\n"


def test_init_never_overwrites() -> None:
    """Where one of the files exists, even as a dangling link, nothing is written."""
    Path("specs").mkdir()
    Path("specs/gru.yaml").symlink_to("absent")
    Path("specs/lstm.yaml").write_text("changed")
    outcome = run_zoo("init")
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        "error: specs/gru.yaml: exists and has other content, and 1 more; nothing was written; "
        "name a new folder: zoo init DIR\n"
    )
    assert sorted(path.name for path in Path("specs").iterdir()) == ["gru.yaml", "lstm.yaml"]
    assert Path("specs/lstm.yaml").read_text() == "changed"


def test_init_keeps_identical_copies_and_adds_missing_ones() -> None:
    """So `zoo init` can be called twice, and in a clone, whose specs/ contains the same files."""
    run_zoo("init")
    Path("specs/gru.yaml").unlink()
    before = Path("specs/lstm.yaml").stat()
    outcome = run_zoo("init")
    assert outcome.exit_code == 0
    assert Path("specs/gru.yaml").is_file()
    assert Path("specs/lstm.yaml").stat() == before


def test_init_in_a_folder_that_cannot_be_made() -> None:
    Path("file").write_text("")
    assert run_zoo("init", "file").exit_code == 2
    outcome = run_zoo("init", "file/specs")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("error: file/specs/activity.yaml: cannot be written: Not a directory")


def test_a_bare_name_is_a_starter_spec_unless_such_a_file_exists() -> None:
    assert resolve(Path("bilstm")) == starter_specs()["bilstm"]
    Path("bilstm").mkdir()
    assert resolve(Path("bilstm")) == starter_specs()["bilstm"]
    Path("gru").write_text("name: other")
    assert resolve(Path("gru")) == Path("gru")


def test_build_names_the_starter_spec_that_it_uses() -> None:
    outcome = run_zoo("build", "bilstm", "--dry-run")
    assert outcome.exit_code == 0
    assert outcome.stderr == f"bilstm: the starter spec {starter_specs()['bilstm']}\n"
    assert outcome.stdout.startswith("name: bilstm\n")


@pytest.mark.parametrize(
    ("path", "name"),
    [("bilstm.yaml", "bilstm"), ("specs/bilstm.yaml", "bilstm"), ("bilsmt", "bilstm"), ("GRU", "gru")],
)
def test_a_missing_file_with_the_name_of_a_starter_spec(path: str, name: str) -> None:
    outcome = run_zoo("build", path)
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"error: {path}: there is no such file; 'zoo build {name}' uses the starter spec of that name, and "
        "'zoo init' writes all of them to specs/\n"
    )


@pytest.mark.parametrize("path", ["elsewhere.txt", ".", "x" * 5000, f"{'x' * 5000}/gru.yaml", "a\0b", "gru\0.yaml"])
def test_other_paths_are_left_to_the_reader(path: str) -> None:
    assert resolve(Path(path)) == Path(path)
