"""A cell whose name is not the entry point's, so that a list made from entry points would not show it."""

import zoo
from tests.plugins.stranger import MGUCell


class Other(MGUCell):
    name = "hidden_away"


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [Other]
