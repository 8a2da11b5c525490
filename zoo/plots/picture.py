"""A picture in memory, which a notebook shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from zoo.files import write_atomically


@dataclass(frozen=True)
class Picture:
    """A picture. A notebook shows it as the result of a cell."""

    png: bytes = field(repr=False)
    """The content of a PNG file."""

    def save(self, path: str | Path) -> Path:
        """Write the picture to a PNG file, and return its path.

        Args:
            path: the file; one that exists is replaced.

        Raises:
            RunError: the file cannot be written.
        """
        write_atomically(Path(path), self.png)
        return Path(path)

    def _repr_png_(self) -> bytes:
        return self.png
