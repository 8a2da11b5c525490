"""Every hook that a plugin may implement, and the marks for them. Nothing else lives here.

A plugin is a module named by an entry point of the group ``zoo``. Entry points are named after what they bring, so that
``zoo list`` can tell without importing anything: an architecture by its bare name (``lstm``), everything else with its
kind before it (``data.digits``, ``task.classification``, ``exporter.onnx``, ``observer.mine``). What no entry point of
its plugin is named after is refused.
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
    """Cells, each of which becomes an architecture of the same name."""


@hookspec
def zoo_register_layers() -> list[type[Layer]]:  # type: ignore[empty-body]
    """Architectures that are more than one cell with free options, such as a biLSTM."""


@hookspec
def zoo_register_data() -> list[type[DataSource]]:  # type: ignore[empty-body]
    """Data sources: what ``data.name`` in a spec may say."""


@hookspec
def zoo_register_tasks() -> list[type[Task]]:  # type: ignore[empty-body]
    """Tasks: what ``task.name`` in a spec may say."""


@hookspec
def zoo_register_exporters() -> list[type[Exporter]]:  # type: ignore[empty-body]
    """Exporters: each becomes a flag of ``zoo export``."""


@hookspec
def zoo_after_epoch(record: EpochRecord) -> None:
    """Called after each epoch, on the process that writes the run, once its line of metrics.jsonl is written.

    When a run that was killed goes on, the epochs since its newest checkpoint are trained and reported again.

    To watch, not to steer: an observer that fails is reported and not called again, and the training goes on.
    """
