"""Checkpoints: saved states of a training, from which it resumes with the same result after a kill at any moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo.errors import RunError
from zoo.files import PARTIAL
from zoo.sealed import load_sealed, save_sealed

KEPT = 2
"""Number of checkpoints kept: the newest, and the one before it in case the newest is damaged."""


@dataclass(frozen=True)
class Checkpoint:
    """Complete state of a training."""

    tensors: Mapping[str, Tensor]
    """Weights, optimiser slots and losses by name."""
    state: Mapping[str, Any]
    """JSON values: completed steps and epochs, and their records."""


class CheckpointFolder:
    """Checkpoints of one run, named after the number of completed optimiser steps."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, step: int, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove all but the newest two and any file that a kill left incomplete.

        Raises:
            RunError: the file cannot be written.
        """
        save_sealed(self.path / f"step-{step:010d}.safetensors", checkpoint.tensors, checkpoint.state)
        for old in [*self.files()[KEPT:], *self.path.glob(f".*{PARTIAL}")]:
            old.unlink()

    def newest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """Load the newest undamaged checkpoint, or return None if the folder has no checkpoint.

        Args:
            warn: called with a one-line message for each damaged checkpoint that is skipped.

        Raises:
            RunError: all checkpoints are damaged.
        """
        files = self.files()
        for file in files:
            try:
                tensors, state = load_sealed(file)
            except RunError as error:
                warn(f"{error}; trying the checkpoint before it")
                continue
            return Checkpoint(tensors, state)
        if files:
            raise RunError(f"{self.path}: all checkpoints are damaged; build again without --resume")
        return None

    def files(self) -> list[Path]:
        """Return the files of the checkpoints, the newest first; some may be damaged."""
        return sorted(self.path.glob("step-*.safetensors"), reverse=True)
