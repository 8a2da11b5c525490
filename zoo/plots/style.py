"""Style of all pictures: colours, marks and dashes that colour-blind readers distinguish, and saving as PNG or SVG."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Literal

from matplotlib import rc_context
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
    """Return the colour of the series with this index."""
    return COLOURS[index % len(COLOURS)]


def mark(index: int) -> str:
    """Return the mark of the series with this index; with more marks than colours, pairs of both repeat late."""
    return MARKS[index % len(MARKS)]


def dash(index: int) -> tuple[float, tuple[float, ...]]:
    """Return the line style of the series with this index."""
    return DASHES[index % len(DASHES)]


def shortened(label: str, most: int) -> str:
    """Return a label for an axis: cut after ``most`` characters, and quoted where it is white space."""
    if not label.strip():  # a space, or the end of a line
        return repr(label)
    return label if len(label) <= most else label[: most - 1] + "…"


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file, or as an SVG file where the name ends in .svg, atomically."""
    write_atomically(path, rendered(figure, form="svg" if path.suffix == ".svg" else "png"))


def rendered(figure: Figure, dpi: int = 130, form: Literal["png", "svg"] = "png") -> bytes:
    """Return a figure as the bytes of a file, the same each time.

    Args:
        figure: the figure.
        dpi: pixels an inch.
        form: format of the file.
    """
    FigureCanvasAgg(figure)
    picture = BytesIO()
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": "zoo"}):
        # Characters that the font lacks are drawn as boxes; a warning would not help the user.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(picture, format=form, dpi=dpi, metadata={"Date": None} if form == "svg" else None)
    return picture.getvalue()
