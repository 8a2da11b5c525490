"""A picture's dark twin, and both made small enough to stand in a page."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

GROUND = "#14171a"
"""What white becomes in the dark: the ground of a dark page."""
COLOURS = 128
"""Of a picture's palette; lines and letters need no more, and it takes a third of the bytes."""


def twins(png: bytes) -> tuple[bytes, bytes]:
    """A picture drawn on white, and the same for a dark page, both as PNG with a palette.

    In the dark, lightness is turned round and hue stays: each colour moves by 1 - max - min along the grey axis, which
    mirrors the L of HSL (https://www.w3.org/TR/css-color-4/#the-hsl-notation). Black then is `GROUND` and not black.
    """
    with Image.open(BytesIO(png)) as picture:
        light = picture.convert("RGB")
    colour = np.asarray(light, np.float32) / 255
    mirrored = colour + 1 - colour.max(-1, keepdims=True) - colour.min(-1, keepdims=True)
    ground = np.array([int(GROUND[at : at + 2], 16) for at in (1, 3, 5)], np.float32)
    dark = ground + mirrored.clip(0, 1) * (255 - ground)
    return _small(light), _small(Image.fromarray(dark.round().astype(np.uint8)))


def size_of(png: bytes) -> tuple[int, int]:
    """(width, height) in pixels."""
    with Image.open(BytesIO(png)) as picture:
        return picture.size


def _small(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()
