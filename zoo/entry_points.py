"""Which plugins are installed, as their entry points say it. Imports none of them, so listing them costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

GROUP = "zoo"
KINDS = ("data", "task", "exporter", "observer")


@dataclass(frozen=True)
class EntryPoint:
    """What a plugin's entry point says without importing the plugin."""

    name: str
    value: str
    """The plugin's module."""
    distribution: str
    """Name and version of the distribution that brings it, such as ``recurrent-zoo 0.1.0``."""

    @property
    def kind(self) -> str:
        """architecture, data, task, exporter or observer."""
        head, dot, _ = self.name.partition(".")
        return head if dot and head in KINDS else "architecture"

    @property
    def label(self) -> str:
        """The name as a spec or a command uses it."""
        return self.name if self.kind == "architecture" else self.name.partition(".")[2]

    def __str__(self) -> str:
        return f"plugin {self.name} ({self.distribution}, {self.value})"


def entry_points() -> list[EntryPoint]:
    """All entry points of the group ``zoo``, by kind and name. Of two with one name, the core's own comes first."""
    found = []
    for point in metadata.entry_points(group=GROUP):
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"
        found.append(EntryPoint(point.name, point.value, distribution))
    return sorted(set(found), key=_order)


def _order(point: EntryPoint) -> tuple[object, ...]:
    core = point.distribution.startswith("recurrent-zoo ")
    return (point.kind != "architecture", point.kind, point.name, not core, point.distribution, point.value)
