"""Forgets the s of a hook's name."""

import zoo
from tests.plugins.stranger import MGUCell


@zoo.hookimpl
def zoo_register_cell() -> list[type[zoo.Cell]]:
    return [MGUCell]
