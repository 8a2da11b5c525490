"""Registry of the installed plugins: the classes that they register, and the faults of those that cannot be used.

The only module that uses pluggy's manager. A broken plugin is reported and left out; the others stay usable.
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
from zoo.plugins.architecture import Architecture, make_architecture, named_config
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
"""By hook that returns classes: the kind of thing that they are, and the base class that they must have."""

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("zoo_"))


@dataclass
class Registry:
    """Everything that the usable plugins provide, by name, and the faults of the others."""

    architectures: dict[str, Architecture] = field(default_factory=dict)
    data: dict[str, type[DataSource]] = field(default_factory=dict)
    tasks: dict[str, type[Task]] = field(default_factory=dict)
    exporters: dict[str, type[Exporter]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """By ``kind.name``: name and version of the distribution that provides it."""
    faults: list[str] = field(default_factory=list)
    """One line for each fault of a plugin, in the order of discovery."""
    _observers: list[tuple[EntryPoint, pluggy.HookImpl]] = field(default_factory=list)

    def after_epoch(self, record: EpochRecord) -> list[str]:
        """Call every observer with the record of an epoch.

        An observer that raises is removed, and the training continues.

        Returns:
            One line for each observer that failed.
        """
        before = len(self.faults)
        for observer in tuple(self._observers):
            point, hook = observer
            with _recording_fault(self, point, "zoo_after_epoch failed, so it is not called again"):
                hook.function(**dict.fromkeys(hook.argnames, record))  # an implementation may omit the argument
                continue
            self._observers.remove(observer)
        return self.faults[before:]

    def exporter(self, name: str) -> Exporter:
        """Return an instance of the exporter of that name.

        Raises:
            PluginError: no usable plugin provides it; the message gives the fault of its plugin, if there is one.
        """
        if name not in self.exporters:
            missing = f"no installed plugin provides the exporter {name!r}; see 'zoo plugins'"
            raise PluginError(next((fault for fault in self.faults if f"plugin exporter.{name} " in fault), missing))
        return self.exporters[name]()


@cache
def load_registry() -> Registry:
    """Return the registry of all installed plugins; imports them on the first call."""
    return build_registry(entry_points())


def build_registry(points: Iterable[EntryPoint]) -> Registry:
    """Import the modules of the given entry points and collect the classes that they register.

    Returns:
        The registry; its ``faults`` hold one line for each fault of a plugin, none of which is raised.
    """
    registry = Registry()
    hooks: dict[ModuleType, dict[str, pluggy.HookImpl]] = {}
    by_module: dict[ModuleType, list[EntryPoint]] = {}
    for point in points:
        with _recording_fault(registry, point, "cannot be imported"):
            module = _import(point)
            if module not in hooks:
                hooks[module] = _implemented_hooks(module)
            by_module.setdefault(module, []).append(point)
    for module, implementations in hooks.items():
        for hook, implementation in implementations.items():
            if hook in REGISTRATIONS:
                _collect(registry, by_module[module], hook, implementation)
            else:
                registry._observers.append((_first_of_kind(by_module[module], "observer"), implementation))
    _add_unfilled(registry, [point for module in hooks for point in by_module[module]])
    return registry


@contextmanager
def _recording_fault(registry: Registry, point: EntryPoint, action: str) -> Iterator[None]:
    """Record any exception raised inside, SystemExit included, as a fault of the plugin; KeyboardInterrupt passes."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        text = " ".join(str(error).split())
        if not isinstance(error, PluginError):  # a PluginError has a complete message
            text = f"{action}: {type(error).__name__}: {text}".rstrip(": ")
        registry.faults.append(f"{point}: {text}")


def _import(point: EntryPoint) -> ModuleType:
    module: object = metadata.EntryPoint(point.name, point.value, GROUP).load()
    if not isinstance(module, ModuleType):
        raise PluginError(f"must be a module, got {_short(module)}; name the module alone in the entry point")
    return module


def _implemented_hooks(module: ModuleType) -> dict[str, pluggy.HookImpl]:
    """Return the hooks that a plugin implements, by name.

    Raises:
        PluginError: a hook is misspelt, lacks the marker, or has an argument that its specification lacks.
    """
    manager = pluggy.PluginManager(GROUP)  # one for each plugin: an invalid hook spoils the whole manager
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{error}; the hooks are {', '.join(HOOKS)}") from error
    implemented = {hook: item for hook in HOOKS for item in getattr(manager.hook, hook).get_hookimpls()}
    if unmarked := [hook for hook in HOOKS if hook in vars(module) and hook not in implemented]:
        raise PluginError(f"{', '.join(unmarked)}: needs @zoo.hookimpl above it")
    return implemented


def _first_of_kind(points: list[EntryPoint], kind: str) -> EntryPoint:
    """Return the first entry point of a kind, or the first of all; a fault of that kind names it."""
    return next((point for point in points if point.kind == kind), points[0])


def _collect(registry: Registry, points: list[EntryPoint], hook: str, implementation: pluggy.HookImpl) -> None:
    """Call a hook that returns classes and add each class, recording the fault of each by itself."""
    point = _first_of_kind(points, REGISTRATIONS[hook][0])
    with _recording_fault(registry, point, f"{hook} failed"):
        result = implementation.function()
        if not isinstance(result, list | tuple):
            raise PluginError(f"{hook} must return a list of classes, got {_short(result)}")
        for item in result:
            with _recording_fault(registry, point, f"{hook}: {_short(item)} cannot be used"):
                _add(registry, points, hook, item)


def _add_unfilled(registry: Registry, points: list[EntryPoint]) -> None:
    """Record a fault for each entry point that no class of its plugin fills, unless it has a fault already."""
    provided = {*registry.origins, *(f"observer.{point.label}" for point, _ in registry._observers)}
    for point in points:
        faulty = any(fault.startswith(str(point)) for fault in registry.faults)
        if f"{point.kind}.{point.label}" not in provided and not faulty:
            registry.faults.append(f"{point}: provides no {point.kind} {point.label!r}; remove the entry point")


def _add(registry: Registry, points: list[EntryPoint], hook: str, item: object) -> None:
    """Add one class under its name.

    Raises:
        PluginError: the class, its name or its entry point is not valid.
        Exception: any other, where a model cannot be made from the class's Config.
    """
    kind, base = REGISTRATIONS[hook]
    if not (inspect.isclass(item) and issubclass(item, base)):
        raise PluginError(f"{hook}: expected a subclass of zoo.{base.__name__}, got {_short(item)}")
    name = getattr(item, "name", None)
    if not isinstance(name, str) or not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name):
        rule = "needs a class attribute 'name' of letters, digits and '_', a letter first"
        raise PluginError(f"{item.__name__} {rule}, got {_short(name)}")
    if missing := sorted(getattr(item, "__abstractmethods__", ())):
        raise PluginError(f"{item.__name__} does not implement {', '.join(missing)}")
    if not any((point.kind, point.label) == (kind, name) for point in points):
        raise PluginError(f"provides the {kind} {name!r}, but none of its entry points has that name")
    if (taken := registry.origins.get(f"{kind}.{name}")) is not None:
        raise PluginError(f"the {kind} {name!r} is already provided by {taken}; rename one")
    if issubclass(item, Cell | Layer):
        registry.architectures[name] = make_architecture(item)
    elif issubclass(item, DataSource):
        named_config(name, item.Config)
        registry.data[name] = item
    elif issubclass(item, Task):
        named_config(name, item.Config)
        registry.tasks[name] = item
    elif issubclass(item, Exporter):
        registry.exporters[name] = item
    registry.origins[f"{kind}.{name}"] = points[0].distribution


def _short(value: object) -> str:
    """Format a plugin's object for a message, on one line; never raises, even where its repr does."""
    return value.__qualname__ if inspect.isclass(value) else " ".join(reprlib.repr(value).split())
