"""Discovery: what the installed plugins bring, and what is wrong with them.

The only module that touches pluggy's manager. A plugin that cannot be used is reported and left out; the others work.
"""

from __future__ import annotations

import inspect
import re
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING

import pluggy

from zoo.data.dataset import DataSource
from zoo.entry_points import GROUP, EntryPoint, entry_points
from zoo.errors import PluginError
from zoo.exporting.exporter import Exporter
from zoo.nn.cell import Cell
from zoo.nn.recurrent import Layer
from zoo.plugins import hookspecs
from zoo.plugins.architecture import Architecture, architecture, named_config
from zoo.tasks.task import Task

if TYPE_CHECKING:
    from zoo.training.progress import EpochRecord

REGISTRATIONS: dict[str, tuple[str, type]] = {
    "zoo_register_cells": ("architecture", Cell),
    "zoo_register_layers": ("architecture", Layer),
    "zoo_register_data": ("data", DataSource),
    "zoo_register_tasks": ("task", Task),
    "zoo_register_exporters": ("exporter", Exporter),
}
"""For each hook that returns classes, their kind and what they must be."""

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("zoo_"))


@dataclass
class Registry:
    """Everything that the usable plugins bring, by name, and the faults of the others."""

    architectures: dict[str, Architecture] = field(default_factory=dict)
    data: dict[str, type[DataSource]] = field(default_factory=dict)
    tasks: dict[str, type[Task]] = field(default_factory=dict)
    exporters: dict[str, type[Exporter]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """For ``kind.name``, the distribution that brings it."""
    faults: list[str] = field(default_factory=list)
    """One line for each thing that is wrong with a plugin."""
    _observers: list[tuple[EntryPoint, pluggy.HookImpl]] = field(default_factory=list)

    def after_epoch(self, record: EpochRecord) -> list[str]:
        """Tell every observer that an epoch is over.

        Returns the faults of those that failed, which are not called again: watching must not cost the training.
        """
        known = len(self.faults)
        for observer in tuple(self._observers):
            point, hook = observer
            with _blamed(self, point, "zoo_after_epoch failed, so it is not called again"):
                arguments = {"record": record}
                hook.function(**{name: arguments[name] for name in hook.argnames})
                continue
            self._observers.remove(observer)
        return self.faults[known:]

    def exporter(self, name: str) -> Exporter:
        """The exporter of that name, or a `PluginError` that says why there is none."""
        if name not in self.exporters:
            reasons = [fault for fault in self.faults if f"plugin exporter.{name} " in fault]
            raise PluginError(
                reasons[0] if reasons else f"no installed plugin brings the exporter {name!r}; see 'zoo plugins'"
            )
        return self.exporters[name]()


@cache
def load_registry() -> Registry:
    """Import every plugin once and collect what it registers."""
    return build_registry(entry_points())


def build_registry(points: Iterable[EntryPoint]) -> Registry:
    """Import the given plugins and collect what they register; whatever is wrong goes to ``faults``."""
    registry = Registry()
    hooks: dict[ModuleType, dict[str, pluggy.HookImpl]] = {}
    names: dict[ModuleType, list[EntryPoint]] = {}  # several entry points may name one module
    for point in points:
        with _blamed(registry, point, "cannot be imported"):
            module = _import(point)
            if module not in hooks:
                hooks[module] = _hooks(module)
            names.setdefault(module, []).append(point)
    for module, implementations in hooks.items():
        for hook, implementation in implementations.items():
            if hook in REGISTRATIONS:
                _collect(registry, names[module], hook, implementation)
            else:
                registry._observers.append((_of_kind(names[module], "observer"), implementation))
    _miss(registry, [point for module in hooks for point in names[module]])
    return registry


@contextmanager
def _blamed(registry: Registry, point: EntryPoint, what: str) -> Iterator[None]:
    """Note whatever is raised inside as a fault of the plugin: it may even call sys.exit."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        text = " ".join(str(error).split())
        if not isinstance(error, PluginError):  # which says all itself
            text = f"{what}: {type(error).__name__}: {text}".rstrip(": ")
        registry.faults.append(f"{point}: {text}")


def _import(point: EntryPoint) -> ModuleType:
    module: object = metadata.EntryPoint(point.name, point.value, GROUP).load()
    if not isinstance(module, ModuleType):
        raise PluginError(f"must be a module, got {_short(module)}; name the module alone in the entry point")
    return module


def _hooks(module: ModuleType) -> dict[str, pluggy.HookImpl]:
    """The hooks that a plugin implements.

    Raises:
        PluginError: where it misspells one, forgets the mark or asks for an argument that there is not.
    """
    manager = pluggy.PluginManager(GROUP)  # one for each plugin, so that no plugin's mistake reaches another
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{error}; the hooks are {', '.join(HOOKS)}") from error
    found = {hook: implementation for hook in HOOKS for implementation in getattr(manager.hook, hook).get_hookimpls()}
    if unmarked := [hook for hook in HOOKS if hook in vars(module) and hook not in found]:
        raise PluginError(f"{', '.join(unmarked)}: needs @zoo.hookimpl above it")
    return found


def _of_kind(names: list[EntryPoint], kind: str) -> EntryPoint:
    """Of a plugin's entry points, the one to blame for a thing of some kind."""
    return next((point for point in names if point.kind == kind), names[0])


def _collect(registry: Registry, names: list[EntryPoint], hook: str, implementation: pluggy.HookImpl) -> None:
    """Call a hook that returns classes, and file each of them by itself."""
    point = _of_kind(names, REGISTRATIONS[hook][0])
    with _blamed(registry, point, f"{hook} failed"):
        result = implementation.function()
        if not isinstance(result, list | tuple):
            raise PluginError(f"{hook} must return a list of classes, got {_short(result)}")
        for item in result:
            with _blamed(registry, point, f"{hook}: {_short(item)} cannot be used"):
                _add(registry, names, hook, item)


def _miss(registry: Registry, points: list[EntryPoint]) -> None:
    """Note the entry points that promise what their plugin does not bring, unless that was noted already."""
    brought = {*registry.origins, *(f"observer.{point.label}" for point, _ in registry._observers)}
    for point in points:
        blamed = any(fault.startswith(str(point)) for fault in registry.faults)
        if f"{point.kind}.{point.label}" not in brought and not blamed:
            registry.faults.append(f"{point}: brings no {point.kind} {point.label!r}; remove the entry point")


def _add(registry: Registry, names: list[EntryPoint], hook: str, item: object) -> None:
    """File one class under its name.

    Raises:
        PluginError: saying why it cannot be filed. A class whose Config cannot be used raises anything.
    """
    kind, base = REGISTRATIONS[hook]
    if not (inspect.isclass(item) and issubclass(item, base)):
        raise PluginError(f"{hook}: expected a subclass of zoo.{base.__name__}, got {_short(item)}")
    name = getattr(item, "name", None)
    if not isinstance(name, str) or not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name):
        raise PluginError(f"{item.__name__} needs a class attribute 'name', a plain word, got {_short(name)}")
    if missing := sorted(getattr(item, "__abstractmethods__", ())):
        raise PluginError(f"{item.__name__} leaves out {', '.join(missing)}")
    if not any((point.kind, point.label) == (kind, name) for point in names):
        raise PluginError(f"brings the {kind} {name!r}, but none of its entry points bears that name")
    if (taken := registry.origins.get(f"{kind}.{name}")) is not None:
        raise PluginError(f"the {kind} {name!r} is already brought by {taken}; rename one")
    if issubclass(item, Cell | Layer):
        registry.architectures[name] = architecture(item)
    elif issubclass(item, DataSource):
        named_config(name, item.Config)
        registry.data[name] = item
    elif issubclass(item, Task):
        named_config(name, item.Config)
        registry.tasks[name] = item
    elif issubclass(item, Exporter):
        registry.exporters[name] = item
    registry.origins[f"{kind}.{name}"] = names[0].distribution


def _short(value: object) -> str:
    """What a plugin gave in place of what it should, on one line. Whatever its repr does, this does not fail."""
    return value.__qualname__ if inspect.isclass(value) else " ".join(reprlib.repr(value).split())
