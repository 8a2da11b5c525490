"""Registers a data source as a cell."""

import zoo
from tests.plugins.stranger import Waves


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.DataSource]]:
    return [Waves]
