"""A hook for cells that returns a data source."""

import zoo
from tests.plugins.stranger import Waves


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.DataSource]]:
    return [Waves]
