"""A cell with an option whose name every architecture already has."""

import zoo
from tests.plugins.stranger import MGUCell


class TakenField(MGUCell):
    name = "taken_field"

    class Config(MGUCell.Config):
        dropout: bool = False


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [TakenField]
