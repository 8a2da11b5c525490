"""Prepared sequences of recordings: as a data set in memory, or in a cache and mapped from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import zoo
from zoo.data.caching.cache import Making, kept
from zoo.data.caching.space import Space
from zoo.data.recordings.parts import PARTS
from zoo.data.recordings.prepare import Part
from zoo.data.recordings.read_tables import Files, recording_files

__all__ = ["Prepared", "cached", "input_files"]


@dataclass(frozen=True)
class Prepared:
    """The sequences of the parts for training, validation and test, and what describes them."""

    parts: Sequence[Part]
    signature: zoo.Signature
    description: str
    repeated: Mapping[str, int]
    """See `zoo.Dataset.repeated`."""

    def dataset(self, cache: str = "") -> zoo.Dataset:
        """Return the data set; ``cache`` is the folder from which its arrays are mapped."""
        train, validation, test = (_split(part, self.signature.lengths) for part in self.parts)
        return zoo.Dataset(train, validation, test, self.signature, self.description, self.repeated, cache)


def input_files(file: str | None, test_file: str | None, folder: str | None, index: str | None) -> Files:
    """Return all files of a spec, and the sentences on those of its folder that are left out.

    Raises:
        DataError: the folder cannot be read or has no recording.
    """
    paths = [Path(name) for name in (file, test_file, index) if name is not None]
    if folder is None:
        return Files(paths, ())
    inside = recording_files(Path(folder), None if index is None else Path(index))
    return Files([*inside.paths, *paths], inside.left_out)


def cached(files: Files, config: zoo.Config, prepare: Callable[[Space], Prepared]) -> zoo.Dataset:
    """Return the data set of files, mapped from the cache; it is prepared where the cache does not have it.

    Args:
        files: all files of the spec. Their paths count as well as their bytes, for they give names and classes.
        config: the fields of the spec.
        prepare: prepares the files with the arrays ``PART-x``, ``PART-y`` and ``PART-lengths`` of a space.
    """
    fields = config.model_copy(update={"cache": True}).model_dump_json()
    options = f"{config.__class__.__qualname__} {fields} {[str(path) for path in files.paths]} {files.left_out}"
    contents = kept(files.paths, options, lambda space: _keep(prepare(space), space))
    values, arrays = contents.values, contents.arrays
    prepared = Prepared(
        [Part(arrays[f"{name}-x"], arrays[f"{name}-y"], arrays[f"{name}-lengths"]) for name in PARTS],
        zoo.Signature.from_dict(values["signature"]),
        values["description"],
        values["repeated"],
    )
    return prepared.dataset(str(contents.folder))


def _keep(prepared: Prepared, space: Making) -> None:
    """Put what `cached` reads, beside the arrays, into a space."""
    space.values = {
        "signature": prepared.signature.to_dict(),
        "description": prepared.description,
        "repeated": dict(prepared.repeated),
    }


def _split(part: Part, lengths: bool) -> zoo.Split:
    return zoo.Split(
        torch.from_numpy(part.x), torch.from_numpy(part.y), torch.from_numpy(part.lengths) if lengths else None
    )
