"""Atomic writing of files, by several writers at once and when a write fails."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from zoo.errors import RunError
from zoo.files import PARTIAL, STALE_SECONDS, remove_stale, write_atomically, write_together

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_many_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    """The sizes differ, so that mixed or left-over content would be detected. No write fails."""
    path, writers, rounds = tmp_path / "one", 8, 20
    contents = {letter: letter * (1000 + 5000 * number) for number, letter in enumerate("abcdefgh"[:writers])}
    together, faults, read = threading.Barrier(writers), [], set()

    def write(content: str) -> None:
        together.wait()
        try:
            for _ in range(rounds):
                write_atomically(path, content)
                read.add(path.read_text())
        except RunError as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert read <= set(contents.values())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_file_has_the_default_mode(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "one", "content")
        (tmp_path / "plain").write_text("content")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("one", "plain")}
    assert modes == {0o666 & ~umask}


def test_a_name_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("x" * 255), "content")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["content"]


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["a full disk", "Ctrl-C"])
def test_files_that_belong_together_are_all_new_or_all_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """The second file cannot be written when the first one is already on disk."""
    files = [tmp_path / "one", tmp_path / "two"]
    write_together(dict.fromkeys(files, "old"))
    calls = iter(range(100))
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if next(calls):
            raise error
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises((RunError, KeyboardInterrupt)) as caught:
            write_together(dict.fromkeys(files, "new"))
    if error is FULL:
        assert str(caught.value) == (
            f"{tmp_path / 'two'}: cannot be written: No space left on device; free some space and do it again"
        )
    assert {file: file.read_text() for file in tmp_path.iterdir()} == dict.fromkeys(files, "old")


def test_old_temporary_files_are_removed_and_recent_ones_stay(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in (f".a{PARTIAL}", f".b{PARTIAL}", "c"))
    for file in (old, new, other):
        file.touch()
    for file in (old, other):
        then = file.stat().st_mtime - STALE_SECONDS - 60
        os.utime(file, (then, then))
    remove_stale(tmp_path)
    remove_stale(tmp_path / "none")
    assert sorted(tmp_path.iterdir()) == [new, other]
