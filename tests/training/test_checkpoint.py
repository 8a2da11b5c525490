"""Checkpoints of a run: the newest undamaged one is loaded, and only two are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from zoo.errors import RunError
from zoo.training.checkpoint import KEPT, Checkpoint, CheckpointFolder


def save(folder: CheckpointFolder, step: int) -> None:
    folder.save(step, Checkpoint({"w": torch.full((3,), float(step))}, {"step": step}))


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def files(folder: CheckpointFolder) -> list[Path]:
    return sorted(folder.path.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    """Create a folder with checkpoints of steps 5 and 9."""
    folder = CheckpointFolder(tmp_path / "run" / "checkpoint")
    save(folder, 5)
    save(folder, 9)
    return folder


def newest(folder: CheckpointFolder) -> tuple[int | None, list[str]]:
    """Return the step of the newest undamaged checkpoint, and the warnings."""
    warnings: list[str] = []
    checkpoint = folder.newest(warnings.append)
    if checkpoint is None:
        return None, warnings
    assert torch.equal(checkpoint.tensors["w"], torch.full((3,), float(checkpoint.state["step"])))
    return checkpoint.state["step"], warnings


def test_the_newest_is_loaded(folder: CheckpointFolder) -> None:
    assert newest(folder) == (9, [])


def test_steps_are_ordered_as_numbers(folder: CheckpointFolder) -> None:
    save(folder, 10)
    save(folder, 123_456)
    assert newest(folder) == (123_456, [])


def test_only_two_are_kept(folder: CheckpointFolder) -> None:
    assert KEPT == 2
    for step in (20, 30, 40):
        save(folder, step)
    assert [file.name for file in files(folder)] == ["step-0000000030.safetensors", "step-0000000040.safetensors"]


def test_a_damaged_one_is_skipped_with_one_warning(folder: CheckpointFolder) -> None:
    damage(files(folder)[-1])
    step, warnings = newest(folder)
    assert step == 5
    (warning,) = warnings
    assert "step-0000000009.safetensors: was altered" in warning
    assert "trying the checkpoint before it" in warning


def test_a_truncated_one_is_skipped(folder: CheckpointFolder) -> None:
    file = files(folder)[-1]
    file.write_bytes(file.read_bytes()[:-1])
    step, warnings = newest(folder)
    assert step == 5
    assert len(warnings) == 1


def test_without_an_undamaged_one_there_is_an_error(folder: CheckpointFolder) -> None:
    for file in files(folder):
        damage(file)
    with pytest.raises(RunError, match="all checkpoints are damaged; build again without --resume"):
        newest(folder)


def test_an_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert newest(CheckpointFolder(tmp_path / "nothing")) == (None, [])


def test_an_incomplete_file_is_ignored_and_removed(folder: CheckpointFolder) -> None:
    left = folder.path / ".step-0000000011.safetensors.partial"
    left.write_bytes(b"half")
    assert newest(folder) == (9, [])
    save(folder, 12)
    assert newest(folder) == (12, [])
    assert not left.exists()  # no other code removes it


def test_a_checkpoint_can_be_written_again(folder: CheckpointFolder) -> None:
    """A resumed training overwrites a damaged one."""
    damage(files(folder)[-1])
    save(folder, 9)
    assert newest(folder) == (9, [])
