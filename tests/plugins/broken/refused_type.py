"""A Config with a field of a type that pydantic rejects while the module is imported."""

import torch

import zoo
from tests.plugins.stranger import MGUCell


class RefusedType(MGUCell):
    name = "refused_type"

    class Config(MGUCell.Config):
        start: torch.Tensor


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [RefusedType]
