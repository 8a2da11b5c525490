"""A hook that returns a string in place of classes."""

import zoo


@zoo.hookimpl
def zoo_register_cells() -> str:
    return "returns_string"
