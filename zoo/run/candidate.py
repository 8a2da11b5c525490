"""A candidate: a newly exported file during its proof, before its bytes are put in place.

The file is in a private folder with a random name, readable by its user only, so no other program has a reason to write
there. Its bytes are read once, before the proof. The proof takes a path and reads the file several times; so the bytes
are compared again after it, and a proof of other bytes does not count. The bytes that are put in place are those that
were read before the proof, whatever happens to the file afterwards.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.errors import RunError
from zoo.exporting.exporter import Exporter
from zoo.files import unwritable
from zoo.runtime.onnx_seal import only_adds_metadata
from zoo.runtime.session import read_onnx

_PREFIX = ".export-"


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """Create a folder in ``parent``, which is created if missing, and remove it when the block ends in any way.

    Raises:
        RunError: where it cannot be created.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as error:
        raise unwritable(parent, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_private_folders(parent: Path) -> None:
    """Remove the private folders of exports that were killed; call it only while holding the run's lock."""
    for folder in parent.glob(f"{_PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError in the block into a `RunError` that gives the reason why ``path`` cannot be written."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


class Candidate:
    """The bytes of a file at the time when this object was created.

    Raises:
        RunError: where the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = read_onnx(path)

    def require_unchanged(self) -> None:
        """Raise a `RunError` unless the file still has the same bytes."""
        if read_onnx(self.path) != self.content:
            raise RunError(
                f"{self.path.name}: another program changed the file during its proof, so the proof is not valid and "
                "nothing was written; find the program that writes there, and prove the file again"
            )

    def annotated(self, exporter: Exporter, metadata: Mapping[str, str]) -> bytes | None:
        """Return the bytes with added metadata, or None where the exporter changed more than the metadata.

        The exporter works on a fresh copy in the candidate's folder.
        """
        fresh = self.path.with_name(f"annotated{self.path.suffix}")
        with fresh.open("xb") as file:
            file.write(self.content)
        exporter.annotate(fresh, metadata)
        content = read_onnx(fresh)
        return content if only_adds_metadata(self.content, content) else None

    def with_path(self, value: Any, path: Path) -> Any:
        """Return a report in which the final ``path`` replaces the candidate's temporary path in every text."""
        if isinstance(value, dict):
            return {key: self.with_path(item, path) for key, item in value.items()}
        if isinstance(value, list):
            return [self.with_path(item, path) for item in value]
        return value.replace(str(self.path), str(path)) if isinstance(value, str) else value
