"""The data source ``adding``: the sum of the two marked numbers in a long sequence.

Source: S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997, experiment 4, in the
form that is usual today: sequences of one length, numbers from 0 to 1, a mark of 1 or 0, the sum not scaled.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

import zoo

__all__ = ["Adding", "zoo_register_data"]


class Adding(zoo.DataSource):
    """Sequences of a number and a mark per step; two steps are marked, one in each half of the sequence.

    A model that always predicts 1, the mean, has a mean squared error of 1/6.
    """

    name = "adding"

    class Config(zoo.Config):
        time: Annotated[int, Field(ge=2)] = 100
        """Steps of a sequence."""
        train: zoo.Size = 10_000
        """Sequences of the training part, always the same."""
        validation: zoo.Size = 1_000
        """Sequences of the validation part."""
        test: zoo.Size = 1_000
        """Sequences of the test part."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, Adding.Config)
        sizes = config.train, config.validation, config.test
        zoo.require_memory(
            (sum(sizes) + max(sizes)) * config.time * 8,  # all parts, and the float64 numbers of one while it is drawn
            f"{sum(sizes):,} sequences of {config.time:,} steps",
            {f"data.{name}": getattr(config, name) for name in ("time", "train", "validation", "test")},
        )
        train, validation, test = (_sequences(size, config.time, seed) for seed, size in enumerate(sizes))
        return zoo.Dataset(
            train=train,
            validation=validation,
            test=test,
            signature=zoo.Signature(features=2, columns=("value", "marker"), targets=("sum",)),
            description=(
                f"The adding problem over {config.time:,} steps (S. Hochreiter and J. Schmidhuber, 1997): the sum of "
                f"the two marked numbers, which lie between 0 and 1. Generated: {len(train):,} sequences for training, "
                f"{len(validation):,} for validation, {len(test):,} for testing."
            ),
        )


def _sequences(count: int, time: int, seed: int) -> zoo.Split:
    random = np.random.RandomState(seed)  # NumPy guarantees that its stream never changes
    x = np.zeros((count, time, 2), np.float32)
    x[:, :, 0] = random.random_sample((count, time))
    rows = np.arange(count)
    marked = random.randint(0, time // 2, count), random.randint(time // 2, time, count)
    for steps in marked:
        x[rows, steps, 1] = 1
    y = sum(x[rows, steps, 0] for steps in marked)
    return zoo.Split(torch.from_numpy(x), torch.from_numpy(y)[:, None])


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    """Register `Adding` as the data source ``adding``."""
    return [Adding]
