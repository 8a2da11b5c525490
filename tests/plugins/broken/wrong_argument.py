"""Asks a hook for an argument that it does not have."""

import zoo
from tests.plugins.stranger import MGUCell


@zoo.hookimpl
def zoo_register_cells(registry: object) -> list[type[zoo.Cell]]:
    return [MGUCell]
