"""A hook that returns a class in place of a list of classes."""

import zoo
from tests.plugins.stranger import MGUCell


@zoo.hookimpl
def zoo_register_cells() -> type[zoo.Cell]:
    return MGUCell
