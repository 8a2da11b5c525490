"""A hook without the marker, which pluggy would ignore silently."""

import zoo
from tests.plugins.stranger import MGUCell


def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [MGUCell]
