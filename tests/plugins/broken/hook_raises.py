"""Fails in a hook, with a message of several lines."""

import zoo


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    raise KeyError("no\nsuch\ncell")
