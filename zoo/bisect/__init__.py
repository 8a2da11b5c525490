"""Which node of an exported file is the first wrong one, by the values along its model."""

from zoo.bisect.search import Suspect, bisect, open_suspect

__all__ = ["Suspect", "bisect", "open_suspect"]
