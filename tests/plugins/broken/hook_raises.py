"""A hook that raises an exception whose message has several lines."""

import zoo


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    raise KeyError("no\nsuch\ncell")
