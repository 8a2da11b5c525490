"""A hook with a misspelt name: the plural s is missing."""

import zoo
from tests.plugins.stranger import MGUCell


@zoo.hookimpl
def zoo_register_cell() -> list[type[zoo.Cell]]:
    return [MGUCell]
