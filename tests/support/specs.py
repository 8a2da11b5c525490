"""Specs that tests read, and the reader of the installed plugins."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from zoo.plugins import load_registry
from zoo.spec import SpecReader
from zoo.strict_yaml import parse

ROOT = Path(__file__).parents[1]
SPECS = sorted(ROOT.glob("specs/**/*.yaml"))
"""Every spec of the repository."""

SMALLEST = "data: {name: digits}\narchitecture: {name: gru, hidden_size: 8}\ntask: {name: classification}\n"


@cache
def reader() -> SpecReader:
    """Reads specs with the options of the installed plugins."""
    return SpecReader.of(load_registry())


def fields(text: str) -> dict[str, Any]:
    """The fields of a spec, unchecked."""
    value = parse(text, "s.yaml").value
    assert isinstance(value, dict)
    return value
