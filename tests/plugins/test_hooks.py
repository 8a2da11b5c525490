"""Every hook is documented and reaches the registry."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import zoo
from tests.plugins import stranger
from tests.support.paths import ROOT
from zoo.entry_points import EntryPoint
from zoo.plugins import hookspecs
from zoo.plugins.registry import REGISTRATIONS, Registry, build_registry

HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("zoo_"))


def _observer_is_called(registry: Registry) -> bool:
    stranger.NOTES.clear()
    record = zoo.EpochRecord(1, 0.5, {"loss": 0.5}, 0.1, 1.0, best=True)
    assert registry.after_epoch(record) == []
    return [record] == stranger.NOTES


EFFECTS: dict[str, Callable[[Registry], bool]] = {
    "zoo_register_cells": lambda registry: registry.architectures["mgu"].layer.cell is stranger.MGUCell,
    "zoo_register_layers": lambda registry: registry.architectures["bimgu"].layer is stranger.BiMGU,
    "zoo_register_data": lambda registry: registry.data == {"waves": stranger.Waves},
    "zoo_register_tasks": lambda registry: registry.tasks == {"sign": stranger.Sign},
    "zoo_register_exporters": lambda registry: isinstance(registry.exporter("text"), stranger.Text),
    "zoo_after_epoch": _observer_is_called,
}
"""By hook: whether the implementation of `tests.plugins.stranger` had its effect."""


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_is_documented(hook: str) -> None:
    assert (getattr(hookspecs, hook).__doc__ or "").strip()
    assert f"`{hook}" in (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_has_its_effect(hook: str) -> None:
    registry = build_registry(
        EntryPoint(name, module, "stranger 1.2.3") for name, module in stranger.ENTRY_POINTS.items()
    )
    assert registry.faults == []
    assert EFFECTS[hook](registry)


def test_the_registry_handles_every_hook() -> None:
    assert sorted([*REGISTRATIONS, "zoo_after_epoch"]) == HOOKS == sorted(EFFECTS)
