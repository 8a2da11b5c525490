"""Forgets the mark, without which pluggy passes a hook over in silence."""

import zoo
from tests.plugins.stranger import MGUCell


def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [MGUCell]
