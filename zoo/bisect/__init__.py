"""Search for the first wrong node of an exported file, by comparing the values inside it with those of its model.

Imports `zoo.proof` and the rooms below it; imported by `zoo.cli`.
"""

from zoo.bisect.search import Suspect, bisect, open_suspect

__all__ = ["Suspect", "bisect", "open_suspect"]
