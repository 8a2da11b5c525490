"""The pictures of the page: drawn once, kept as files in two colours, and put into the page as data."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from zoo.files import write_atomically
from zoo.plots.twin import size_of, twins

NARROW = 800
"""Pixels up to which a picture fits into half of a page; a wider one has all of it."""


@dataclass(frozen=True)
class Picture:
    """One picture in the page."""

    light: str
    """As a data URI."""
    dark: str
    width: int
    height: int
    alt: str
    """What it shows, with figures."""
    caption: str

    @property
    def wide(self) -> bool:
        return self.width > NARROW


@dataclass(frozen=True)
class Album:
    """The folder of the pictures' files."""

    folder: Path
    files: list[Path] = field(default_factory=list)

    def draw(self, name: str, plot: Callable[[Path], None], alt: str, caption: str) -> Picture:
        """A picture that ``plot`` draws."""
        file = self.folder / f"{name}.png"
        plot(file)
        return self._keep(name, file.read_bytes(), alt, caption)

    def take(self, file: Path, alt: str, caption: str) -> Picture | None:
        """A picture that the run has; None where it has not."""
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
