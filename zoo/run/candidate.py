"""A candidate: a file that an exporter has just written, while it is proven and until its bytes are put in place.

It stands in a private folder of its own, readable by its user alone and with a name that nobody can guess, so no other
export and no other program has a reason to write there. Its bytes are read once, before the proof. The proof takes a
path, and reads it several times; so the bytes are compared once more after it, and a verdict for others does not count.
What is put in place comes from the bytes that were kept, whatever then becomes of the file.
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
from zoo.runtime.onnx_seal import gains_metadata_alone
from zoo.runtime.session import read_onnx

_PREFIX = ".export-"


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """A new folder in ``parent``, which is made where there is none; removed on every way out.

    Raises:
        RunError: where it cannot be made.
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
    """Remove those of exports that were killed. Only for who holds the run's lock: nobody else has one then."""
    for folder in parent.glob(f"{_PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """While active, an OSError is a `RunError` that says why ``path`` cannot be written."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


class Candidate:
    """The bytes of a file, as they were when this was made.

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
                f"{self.path.name}: another program changed the file during its proof, so the proof is of no use and "
                "nothing was written; find out what writes there, and prove it again"
            )

    def annotated(self, exporter: Exporter, metadata: Mapping[str, str]) -> bytes | None:
        """The bytes with further metadata, from a fresh file; None where more than the metadata differs."""
        fresh = self.path.with_name(f"annotated{self.path.suffix}")
        with fresh.open("xb") as file:
            file.write(self.content)
        exporter.annotate(fresh, metadata)
        content = read_onnx(fresh)
        return content if gains_metadata_alone(self.content, content) else None

    def with_path(self, value: Any, place: Path) -> Any:
        """What a report says, with the place that the file is kept at for its own, which will be gone."""
        if isinstance(value, dict):
            return {key: self.with_path(item, place) for key, item in value.items()}
        if isinstance(value, list):
            return [self.with_path(item, place) for item in value]
        return value.replace(str(self.path), str(place)) if isinstance(value, str) else value
