"""Light and dark version of a picture, both small enough to embed in a page."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

GROUND = "#14171a"
"""Background of the dark page; white becomes this colour."""
COLOURS = 128
"""Colours of the palette; enough for lines and text, and a third of the bytes of a full-colour PNG."""


def twins(png: bytes) -> tuple[bytes, bytes]:
    """Return the light and the dark version of a picture drawn on white, both as PNG with a palette.

    The dark version inverts the lightness and keeps the hue: each colour moves by 1 - max - min along the grey axis,
    which mirrors the L of HSL (https://www.w3.org/TR/css-color-4/#the-hsl-notation). Its black is `GROUND`.
    """
    with Image.open(BytesIO(png)) as picture:
        light = picture.convert("RGB")
    colour = np.asarray(light, np.float32) / 255
    mirrored = colour + 1 - colour.max(-1, keepdims=True) - colour.min(-1, keepdims=True)
    ground = np.array([int(GROUND[at : at + 2], 16) for at in (1, 3, 5)], np.float32)
    dark = ground + mirrored.clip(0, 1) * (255 - ground)
    return _small(light), _small(Image.fromarray(dark.round().astype(np.uint8)))


def size_of(png: bytes) -> tuple[int, int]:
    """Return (width, height) of a PNG in pixels."""
    with Image.open(BytesIO(png)) as picture:
        return picture.size


def _small(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()
