"""A hook that returns an instance in place of a class."""

import zoo
from tests.plugins.stranger import MGUCell


@zoo.hookimpl
def zoo_register_cells() -> list[zoo.Cell]:
    return [MGUCell(1, MGUCell.Config(hidden_size=1))]
