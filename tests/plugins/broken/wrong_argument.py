"""A hook with an argument that its specification lacks."""

import zoo
from tests.plugins.stranger import MGUCell


@zoo.hookimpl
def zoo_register_cells(registry: object) -> list[type[zoo.Cell]]:
    return [MGUCell]
