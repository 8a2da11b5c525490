"""A cell that does not implement `step`."""

import zoo


class Abstract(zoo.Cell):
    name = "abstract"


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [Abstract]  # type: ignore[type-abstract]
