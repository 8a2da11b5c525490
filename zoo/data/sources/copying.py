"""The data source ``copy``: the first symbols of a sequence, to be repeated after a delay.

Source: M. Arjovsky, A. Shah and Y. Bengio, "Unitary Evolution Recurrent Neural Networks", ICML 2016, section 5.1, after
S. Hochreiter and J. Schmidhuber, 1997. There the blanks are targets too; here the symbols are the only targets.
"""

from __future__ import annotations

from string import ascii_lowercase
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

import zoo

__all__ = ["Copy", "zoo_register_data"]

_BLANK, _CUE = "-", ">"


class Copy(zoo.DataSource):
    """Sequences of symbols, blanks, a cue and blanks; the targets of the last blanks are the symbols in their order.

    The targets of ``cab------>---`` are ``cab`` at the last three steps and none before. A uniform guess has a
    cross-entropy of ln(symbols) nats.
    """

    name = "copy"

    class Config(zoo.Config):
        symbols: Annotated[int, Field(ge=2, le=len(ascii_lowercase))] = 8
        """Number of different symbols, which are the first letters of the alphabet."""
        length: zoo.Size = 10
        """Number of symbols to remember in each sequence."""
        delay: zoo.Size = 20
        """Steps between the last symbol and the first target, the cue included."""
        train: zoo.Size = 10_000
        """Sequences of the training part, always the same."""
        validation: zoo.Size = 1_000
        """Sequences of the validation part."""
        test: zoo.Size = 1_000
        """Sequences of the test part."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, Copy.Config)
        sizes = config.train, config.validation, config.test
        zoo.require_memory(
            sum(sizes) * _steps(config) * 16,  # a token and a class for each step
            f"{sum(sizes):,} sequences of {_steps(config):,} steps",
            {f"data.{name}": getattr(config, name) for name in ("length", "delay", "train", "validation", "test")},
        )
        train, validation, test = (_sequences(config, size, seed) for seed, size in enumerate(sizes))
        symbols = tuple(ascii_lowercase[: config.symbols])
        return zoo.Dataset(
            train=train,
            validation=validation,
            test=test,
            signature=zoo.Signature(
                vocabulary=(*symbols, _BLANK, _CUE), tokenizer="characters", labels=symbols, by_step=True
            ),
            description=(
                f"The copying problem (M. Arjovsky, A. Shah and Y. Bengio, 2016): {config.length:,} of "
                f"{config.symbols} symbols, to be repeated after {config.delay:,} steps. Generated: {len(train):,} "
                f"sequences for training, {len(validation):,} for validation, {len(test):,} for testing."
            ),
        )


def _steps(config: Copy.Config) -> int:
    return 2 * config.length + config.delay


def _sequences(config: Copy.Config, count: int, seed: int) -> zoo.Split:
    random = np.random.RandomState(seed)  # NumPy guarantees that its stream never changes
    symbols = torch.from_numpy(random.randint(0, config.symbols, (count, config.length), np.int64))
    time = _steps(config)
    x = torch.full((count, time), config.symbols)
    x[:, : config.length] = symbols
    x[:, config.length + config.delay - 1] = config.symbols + 1
    y = torch.full((count, time), zoo.IGNORED)
    y[:, -config.length :] = symbols
    return zoo.Split(x, y)


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    """Register `Copy` as the data source ``copy``."""
    return [Copy]
