"""What all pictures share: colours, marks and dashes that everybody can tell apart, and how they are saved."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from zoo.files import write_atomically

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#888888"

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito (2008), "Color Universal Design", without the yellow, which is too light for lines on white."""
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ((0, ()), (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (6, 2, 1, 2, 1, 2)), (0, (12, 3)))
"""matplotlib's line styles: solid, dashed, dotted and so on."""


def colour(index: int) -> str:
    """The colour of the thing of this number."""
    return COLOURS[index % len(COLOURS)]


def mark(index: int) -> str:
    """Its mark. There are more marks than colours, so that the two together repeat late."""
    return MARKS[index % len(MARKS)]


def dash(index: int) -> tuple[float, tuple[float, ...]]:
    """The dashes of a thing's line of this number."""
    return DASHES[index % len(DASHES)]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    FigureCanvasAgg(figure)
    picture = BytesIO()
    with warnings.catch_warnings():
        # A script that the font does not have shows as boxes; nobody can do anything about it here.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(picture, format="png", dpi=130)
    write_atomically(path, picture.getvalue())
