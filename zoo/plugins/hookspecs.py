"""Specifications of all hooks that a plugin may implement, and the markers for them.

A plugin is a module that an entry point of the group ``zoo`` names. It has one entry point for each thing that it
provides, so that ``zoo list`` need not import it::

    [project.entry-points.zoo]
    mgu = "my_cells"                 # an architecture: its bare name
    "data.waves" = "my_cells"        # anything else: its kind before its name
    "task.counting" = "my_cells"
    "exporter.text" = "my_cells"
    "observer.notes" = "my_cells"    # any name; zoo_after_epoch is the hook

A registered class must have a class attribute ``name`` that equals the name of its entry point: a letter, then letters,
digits and underscores. A class without such an entry point, with a name that is taken, or with methods left abstract is
left out, and ``zoo plugins`` reports the reason. The other classes and plugins stay usable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pluggy import HookimplMarker, HookspecMarker

if TYPE_CHECKING:
    from zoo.data.dataset import DataSource
    from zoo.exporting.exporter import Exporter
    from zoo.nn.cell import Cell
    from zoo.nn.recurrent import Layer
    from zoo.tasks.task import Task
    from zoo.training.progress import EpochRecord

hookimpl = HookimplMarker("zoo")
"""Marks a plugin's function as the implementation of the hook of the same name."""
hookspec = HookspecMarker("zoo")


@hookspec
def zoo_register_cells() -> list[type[Cell]]:  # type: ignore[empty-body]
    """Register cells; each becomes an architecture of the same name.

    A spec chooses it by ``architecture.name``. Its options are those of the cell's ``Config`` and those of every stack:
    layers, direction, dropout, pooling and implementation.

    Returns:
        Subclasses of `zoo.Cell`, as a list or tuple. The classes themselves, not instances.
    """


@hookspec
def zoo_register_layers() -> list[type[Layer]]:  # type: ignore[empty-body]
    """Register layers; each becomes an architecture that fixes more than its cell, such as a biLSTM its direction.

    Returns:
        Subclasses of `zoo.Layer`, each with a class attribute ``cell``, as a list or tuple.
    """


@hookspec
def zoo_register_data() -> list[type[DataSource]]:  # type: ignore[empty-body]
    """Register data sources; a spec chooses one by ``data.name``.

    Returns:
        Subclasses of `zoo.DataSource`, as a list or tuple. The fields of a source's ``Config``, a subclass of
        `zoo.Config`, are its options in the spec.
    """


@hookspec
def zoo_register_tasks() -> list[type[Task]]:  # type: ignore[empty-body]
    """Register tasks; a spec chooses one by ``task.name``.

    Returns:
        Subclasses of `zoo.Task`, as a list or tuple. The fields of a task's ``Config`` are its options in the spec.
    """


@hookspec
def zoo_register_exporters() -> list[type[Exporter]]:  # type: ignore[empty-body]
    """Register exporters; each becomes a flag of ``zoo export``, such as ``--onnx``.

    Returns:
        Subclasses of `zoo.Exporter`, as a list or tuple, that can be created without arguments.
    """


@hookspec
def zoo_after_epoch(record: EpochRecord) -> None:
    """Observe the training: called after each epoch, once its line of metrics.jsonl is written.

    It is called only in the process that writes the run. When an interrupted run is resumed, the epochs since its
    newest checkpoint are trained and reported again. An observer cannot change the training: one that raises is
    reported once and not called again, and the training continues.

    Args:
        record: number, training loss, validation metrics, learning rate and duration in seconds of the epoch.
    """
