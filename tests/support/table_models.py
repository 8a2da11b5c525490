"""Models of tables: a number, a category of few, a group of many, and scales by group."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import nn

import zoo
from tests.support.builders import make_stack
from zoo.nn.encoder import make_encoder
from zoo.nn.pooling import Pooling
from zoo.tasks.number_loss import NumberLoss, PointLoss

KINDS, STORES = 3, 12
SIGNATURE = zoo.Signature(
    features=4,
    columns=("load", "kind", "store", "price"),
    categories=((), ("a", "b", "c"), tuple(f"store {number}" for number in range(STORES)), ()),
    input_scale=zoo.Scale((3.0, 0.0, 0.0, -1.0), (20.0, 1.0, 1.0, 2.0)),
    targets=("u", "v"),
    target_scale=zoo.Scale((10.0, -5.0), (2.0, 100.0)),
)
"""Three kinds, one-hot by default, and twelve stores, embedded by default."""
GROUPED = replace(
    SIGNATURE,
    group=2,
    input_scales=tuple(
        zoo.Scale((float(number), 0.0, 0.0, -1.0), (2.0 * 1.5**number, 1.0, 1.0, 2.0)) for number in range(STORES)
    ),
    target_scales=tuple(zoo.Scale((-float(number), 0.0), (0.1 * 2.0**number,) * 2) for number in range(STORES)),
)
"""The same with the stores as groups, whose targets differ in scale by a factor of 2,000."""


def make_table_model(
    kind: str = "lstm",
    signature: zoo.Signature = SIGNATURE,
    *,
    horizon: int = 0,
    loss: NumberLoss | None = None,
    takes_lengths: bool = False,
    seed: int = 0,
    **options: object,
) -> zoo.Model:
    """Create a float32 model of a table in evaluation mode; see `tests.support.models.make_model`.

    Args:
        kind: kind of the layers.
        signature: of the data.
        horizon: steps of a forecast; 0 for a regression.
        loss: gives the readout; by default that of the squared error.
        takes_lengths: whether sequences differ in length.
        seed: of the weights.
        options: options of a spec's architecture.
    """
    loss = loss or PointLoss("mse", 1.0)
    torch.manual_seed(seed)
    encoder = make_encoder(None, signature)
    stack = make_stack(kind, input_size=encoder.output_size, seed=seed, dtype=torch.float32, **options)
    targets = len(signature.targets)
    assert signature.target_scale is not None
    readout = loss.readout(signature.target_scale, horizon, signature.target_scales)
    head = nn.Linear(stack.output_size, loss.parts * targets * max(1, horizon))
    pooling = cast("Pooling | None", options.get("pooling", "last"))
    return zoo.Model(encoder, stack, pooling, head, readout, takes_lengths=takes_lengths).eval()


def draw_table(batch: int, time: int, seed: int = 0) -> torch.Tensor:
    """Draw sequences (batch, time, 4) of `SIGNATURE`, each of one store."""
    generator = np.random.default_rng(seed)
    numbers = generator.normal(3, 20, (batch, time, 4))
    numbers[..., 1] = generator.integers(KINDS + 1, size=(batch, time))
    numbers[..., 2] = generator.integers(1, STORES + 1, size=(batch, 1))
    return torch.from_numpy(numbers.astype(np.float32))


def table_split(batch: int, time: int, lengths: list[int] | None = None) -> zoo.Split:
    """Return drawn sequences with meaningless targets."""
    return zoo.Split(draw_table(batch, time), torch.zeros(batch, 2), None if lengths is None else torch.tensor(lengths))
