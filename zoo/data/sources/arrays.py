"""The data source ``arrays``: sequences that a Python program gave to ``zoo.build``."""

from __future__ import annotations

import zoo

__all__ = ["Arrays", "zoo_register_data"]


class Arrays(zoo.DataSource):
    """Arrays that a program gave with zoo.build(spec, data=...); a command cannot load them."""

    name = "arrays"

    class Config(zoo.Config):
        sha256: str | None = None
        """Hash of all arrays and of their signature, which zoo.build writes."""

    def load(self, config: zoo.Config) -> zoo.Dataset:  # noqa: ARG002  (there is nothing to load)
        raise zoo.DataError(
            "data.name: 'arrays' stands for arrays that a Python program gave, and there is no file to load them from; "
            "call zoo.build(spec, data=zoo.Dataset.from_arrays(x, y)) with them, or name another source"
        )


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    """Register `Arrays` as the data source ``arrays``."""
    return [Arrays]
