"""A cell whose name differs from that of its entry point, so that `zoo list` would not show it."""

import zoo
from tests.plugins.stranger import MGUCell


class Other(MGUCell):
    name = "hidden_away"


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [Other]
