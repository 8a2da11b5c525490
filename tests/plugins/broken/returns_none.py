"""A hook that returns None."""

import zoo


@zoo.hookimpl
def zoo_register_cells() -> None:
    pass
