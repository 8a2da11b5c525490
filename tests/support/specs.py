"""Specs for tests, and their reader with the installed plugins."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.support.paths import ROOT
from zoo.plugins.registry import load_registry
from zoo.spec.spec import SpecReader
from zoo.spec.strict_yaml import parse

ALL_SPECS = sorted(ROOT.glob("specs/**/*.yaml"))
"""Every spec of the repository."""

SMALLEST = "data: {name: digits}\narchitecture: {name: gru, hidden_size: 8}\ntask: {name: classification}\n"


@cache
def reader() -> SpecReader:
    """Return a reader of specs with the options of the installed plugins."""
    return SpecReader.of(load_registry())


def fields(text: str) -> dict[str, Any]:
    """Return the fields of a spec without validation."""
    value = parse(text, "s.yaml").value
    assert isinstance(value, dict)
    return value
