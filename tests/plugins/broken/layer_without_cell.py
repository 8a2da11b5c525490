"""A layer without a cell."""

import zoo


class LayerWithoutCell(zoo.Layer):
    name = "layer_without_cell"


@zoo.hookimpl
def zoo_register_layers() -> list[type[zoo.Layer]]:
    return [LayerWithoutCell]
