"""The data source ``adding``: the sum of two marked numbers in a long row of others.

Source: S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997, experiment 4, in its
later usual form: rows of one length, numbers from 0 to 1, a mark of 1 or 0, the sum as it is.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

import zoo

__all__ = ["Adding", "zoo_register_data"]


class Adding(zoo.DataSource):
    """Each step is a number and a mark. Two steps are marked, one in each half of the sequence.

    Whoever always says 1, the mean, has a mean squared error of 1/6.
    """

    name = "adding"

    class Config(zoo.Config):
        time: Annotated[int, Field(ge=2)] = 100
        """Steps in a sequence."""
        train: zoo.Size = 10_000
        """Sequences for training, always the same."""
        validation: zoo.Size = 1_000
        """Sequences for validation."""
        test: zoo.Size = 1_000
        """Sequences for testing."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, Adding.Config)
        sizes = config.train, config.validation, config.test
        zoo.require_memory(
            (sum(sizes) + max(sizes)) * config.time * 8,  # all parts, and one more while its numbers are drawn
            "so many sequences of so many steps",
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
                f"the two marked ones among numbers from 0 to 1. Made up: {len(train):,} sequences for training, "
                f"{len(validation):,} for validation, {len(test):,} for testing."
            ),
        )


def _sequences(count: int, time: int, seed: int) -> zoo.Split:
    random = np.random.RandomState(seed)  # its numbers never change, by NumPy's promise
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
    return [Adding]
