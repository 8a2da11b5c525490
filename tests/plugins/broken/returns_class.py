"""Returns the class itself, not a list of it."""

import zoo
from tests.plugins.stranger import MGUCell


@zoo.hookimpl
def zoo_register_cells() -> type[zoo.Cell]:
    return MGUCell
