"""Entry points of the installed plugins, read without importing any plugin."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

GROUP = "zoo"
KINDS = ("data", "task", "exporter", "observer")
"""Prefixes of entry point names, as in ``data.csv``; a name without one of them is an architecture."""


@dataclass(frozen=True)
class EntryPoint:
    """Entry point of one plugin."""

    name: str
    value: str
    """The plugin's module."""
    distribution: str
    """Name and version of the distribution that contains the plugin, such as ``recurrent-zoo 0.1.0``."""

    @property
    def kind(self) -> str:
        """Kind of plugin: architecture, data, task, exporter or observer."""
        head, dot, _ = self.name.partition(".")
        return head if dot and head in KINDS else "architecture"

    @property
    def label(self) -> str:
        """Name in specs and commands."""
        return self.name if self.kind == "architecture" else self.name.partition(".")[2]

    def __str__(self) -> str:
        return f"plugin {self.name} ({self.distribution}, {self.value})"


def entry_points() -> list[EntryPoint]:
    """Return all entry points of the group ``zoo``, sorted by kind and name; the core's own first among equal names."""
    points = []
    for point in metadata.entry_points(group=GROUP):
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"
        points.append(EntryPoint(point.name, point.value, distribution))
    return sorted(set(points), key=_order)


def _order(point: EntryPoint) -> tuple[object, ...]:
    core = point.distribution.startswith("recurrent-zoo ")
    return (point.kind != "architecture", point.kind, point.name, not core, point.distribution, point.value)
