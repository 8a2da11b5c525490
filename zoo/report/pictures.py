"""Pictures of the page: each saved as a light and a dark file, and embedded in the page as a data URI."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from zoo.files import write_atomically
from zoo.plots.twin import size_of, twins

NARROW = 800
"""Width in pixels up to which a picture fits into half the page; a wider picture takes the whole width."""


@dataclass(frozen=True)
class Picture:
    """Picture as the page shows it."""

    light: str
    """Data URI of the PNG on white."""
    dark: str
    """Data URI of the PNG on the dark background."""
    width: int
    height: int
    alt: str
    """Text alternative, with the main numbers."""
    caption: str

    @property
    def wide(self) -> bool:
        """Whether the picture takes the whole width of the page."""
        return self.width > NARROW


@dataclass(frozen=True)
class Album:
    """Folder of the picture files, and the files written so far."""

    folder: Path
    files: list[Path] = field(default_factory=list)

    def draw(self, name: str, plot: Callable[[Path], None], alt: str, caption: str) -> Picture:
        """Draw a picture by calling ``plot`` with the path of a PNG file."""
        file = self.folder / f"{name}.png"
        plot(file)
        return self._keep(name, file.read_bytes(), alt, caption)

    def take(self, file: Path, alt: str, caption: str) -> Picture | None:
        """Return an existing picture of the run, or None if the file does not exist."""
        return self._keep(file.stem, file.read_bytes(), alt, caption) if file.is_file() else None

    def _keep(self, name: str, png: bytes, alt: str, caption: str) -> Picture:
        light, dark = twins(png)
        for ending, content in (("", light), ("-dark", dark)):
            file = self.folder / f"{name}{ending}.png"
            write_atomically(file, content)
            self.files.append(file)
        width, height = size_of(light)
        return Picture(_data(light), _data(dark), width, height, alt, caption)


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
