"""A cell whose name is already taken."""

import zoo
from tests.plugins.stranger import MGUCell


class Duplicate(MGUCell):
    name = "lstm"


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [Duplicate]
