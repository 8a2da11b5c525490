"""Checkpoints: the state of a training, kept so that a kill at any moment loses nothing but time."""

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
"""The newest, and the one before it for the case that the newest is damaged."""


@dataclass(frozen=True)
class Checkpoint:
    """Everything that training needs to go on."""

    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


class CheckpointFolder:
    """The checkpoints of one run, named after the number of optimiser steps done."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, step: int, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove all but the newest two, and what a kill left half written.

        Raises:
            RunError: where it cannot be written.
        """
        save_sealed(self.path / f"step-{step:010d}.safetensors", checkpoint.tensors, checkpoint.state)
        for old in [*self._files()[KEPT:], *self.path.glob(f".*{PARTIAL}")]:
            old.unlink()

    def newest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint that is whole; None where there is none yet.

        Args:
            warn: told, in one line, of each damaged checkpoint that is passed over.

        Raises:
            RunError: where there are checkpoints and none of them is whole.
        """
        files = self._files()
        for file in files:
            try:
                tensors, state = load_sealed(file)
            except RunError as error:
                warn(f"{error}; trying the checkpoint before it")
                continue
            return Checkpoint(tensors, state)
        if files:
            raise RunError(f"{self.path}: no checkpoint is whole; build again without --resume")
        return None

    def _files(self) -> list[Path]:
        return sorted(self.path.glob("step-*.safetensors"), reverse=True)
