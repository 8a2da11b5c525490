"""A hook that exits."""

import sys

import zoo


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    sys.exit(3)
