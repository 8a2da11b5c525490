"""The lock of a folder: one writer at a time, and released when its process ends."""

from __future__ import annotations

import errno
import os
import platform
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import zoo.run.lock
from zoo.errors import RunError
from zoo.run.lock import LOCK, locked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")


def test_a_second_process_is_rejected_with_the_name_of_the_holder(tmp_path: Path) -> None:
    with locked(tmp_path, "zoo export") as held, pytest.raises(RunError) as caught, locked(tmp_path, "zoo build"):
        pass
    assert held
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path))}: is in use by 'zoo export' \(process {os.getpid()} on "
        rf"{re.escape(platform.node())}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d\); wait until it ends, "
        "or stop it",
        str(caught.value),
    )


def test_the_lock_ends_with_its_block_and_leaves_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"

    def interrupted() -> None:
        with locked(folder, "zoo build"):
            assert (folder / LOCK).is_file()
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    assert not list(folder.iterdir())


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    """Also when the process is killed; the file that it leaves does not lock the folder."""
    code = (
        "import sys, pathlib, zoo.run.lock\n"
        "with zoo.run.lock.locked(pathlib.Path(sys.argv[1]), 'zoo build'):\n"
        "    print('locked', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    with pytest.raises(RunError, match=f"in use by 'zoo build' .process {process.pid} on "), locked(tmp_path, "x"):
        pass
    process.kill()
    process.communicate()
    assert (tmp_path / LOCK).is_file()
    with locked(tmp_path, "zoo build"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_lock_on_a_removed_file_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking the file, the first holder ends and removes it, and a second holder begins."""
    first, second = ExitStack(), ExitStack()
    first.enter_context(locked(tmp_path, "the first"))
    real, calls = zoo.run.lock._lock, iter(range(100))

    def late(descriptor: int) -> bool:
        if next(calls) == 0:
            first.close()
            second.enter_context(locked(tmp_path, "the second"))
        return real(descriptor)

    monkeypatch.setattr("zoo.run.lock._lock", late)
    with pytest.raises(RunError, match="in use by 'the second'"), locked(tmp_path, "the third"):
        pass
    second.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"\x1b[2J\xff\nsecond line", b"x" * 10_000])
def test_any_content_of_the_lock_file_makes_one_line(tmp_path: Path, content: bytes) -> None:
    with locked(tmp_path, "zoo build"):
        (tmp_path / LOCK).write_bytes(content)
        with pytest.raises(RunError) as caught, locked(tmp_path, "zoo build"):
            pass
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    assert ("in use by another process;" in str(caught.value)) == (not content)


def test_the_error_names_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written: "), locked(tmp_path / "file", "zoo build"):
        pass


def test_without_locks_the_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems have no locks."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with locked(tmp_path, "zoo build") as held:
        assert not held
