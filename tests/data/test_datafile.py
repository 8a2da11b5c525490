"""File names that break messages or that the system rejects: every command reports them in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

import zoo
from tests.support.command import run_zoo
from tests.support.files import write_verified
from tests.support.models import make_model
from zoo.data.datafile import name_fault, open_data
from zoo.runtime import OnnxModel

LONG = "a" * 5000
NAMES = {
    "NUL": ("a\0b", "'a\\x00b': has a control character in its name, '\\x00'; give it another name"),
    "line end": ("a\nb", "'a\\nb': has a control character in its name, '\\n'; give it another name"),
    "escape": ("\x1b[31m", "'\\x1b[31m': has a control character in its name, '\\x1b'; give it another name"),
    "line separator": ("a\u2028b", "'a\\u2028b': has a control character in its name, '\\u2028'; give it another name"),
    "no UTF-8": ("a\udcff", "'a\\udcff': has a byte that is not UTF-8 in its name, '\\udcff'; give it another name"),
    "long": (LONG, f"'{LONG[:60]}...': has a name of 5,000 characters, more than the system allows; use a shorter one"),
}


@pytest.mark.parametrize(("name", "fault"), NAMES.values(), ids=NAMES.keys())
def test_a_name_that_is_rejected(name: str, fault: str) -> None:
    with pytest.raises(zoo.DataError) as caught, open_data(Path(name)):
        pass
    assert str(caught.value) == fault
    with pytest.raises(zoo.RunError) as rejected:
        OnnxModel(name)
    assert str(rejected.value) == fault


@pytest.mark.parametrize("name", ["none.npy", "Größe 3.csv", "一\u3000二.csv", "👩\u200d🔬.csv"])
def test_a_name_that_is_accepted(name: str, tmp_path: Path) -> None:
    """Whether the file exists or not; among the names are a wide space and an emoji of three characters."""
    path = tmp_path / name
    assert name_fault(path) is None
    path.write_text("1\n", encoding="utf-8")
    with open_data(path) as stream:
        assert stream.read() == b"1\n"


@pytest.mark.parametrize("name", ["a\n.npy", f"{LONG}.npy"])
def test_every_command_that_reads_a_file(name: str, tmp_path: Path) -> None:
    """Without a NUL, which cannot be part of a command's argument."""
    file = write_verified(make_model("lstm"), tmp_path)
    (tmp_path / "x.csv").write_text("1,2,3,4,5,6,7,8\n")
    for arguments, code in (
        (("predict", file, "--input", name), 1),
        (("predict", name, "--input", tmp_path / "x.csv"), 1),
        (("predict", file, "--input", tmp_path / "x.csv", "--out", name), 2),
        (("verify", name), 1),
        (("sample", name), 1),
    ):
        outcome = run_zoo(*arguments)
        assert (outcome.exit_code, outcome.stdout) == (code, ""), arguments
        assert outcome.stderr.count("\n") == 1
        assert "name" in outcome.stderr
        assert len(outcome.stderr) < 200
