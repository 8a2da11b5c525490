"""Forgets to return."""

import zoo


@zoo.hookimpl
def zoo_register_cells() -> None:
    pass
