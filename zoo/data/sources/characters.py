"""The data source ``characters``: a running text, to be told on or to be filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

import zoo

__all__ = ["Characters", "zoo_register_data"]

Share = Annotated[float, Field(gt=0, lt=1)]
_MASK = "<mask>"
_PARTS = ("train", "validation", "test")


class Characters(zoo.DataSource):
    """Windows over a text, each character a step. They do not overlap, and none reaches from one part into the next.

    The vocabulary is that of the training part; characters that stand in the other parts alone become one token.
    """

    name = "characters"

    class Config(zoo.Config):
        file: str | None = None
        """A text file in UTF-8; relative to where zoo is run. When left out, the pages of Python's own help, which
        differ a little from one version of Python to the next."""
        window: zoo.Size = 64
        """Characters in a sequence."""
        predict: Literal["next", "masked"] = "next"
        """What is told of each step: the next character; or, where one is hidden, which it is."""
        masked: Share = 0.15
        """Share of a window's characters that are hidden, always the same ones; at least one."""
        train: Share = 0.8
        """Share of the text for training, its beginning."""
        validation: Share = 0.1
        """Share for validation, what follows."""
        test: Share = 0.1
        """Share for testing, what follows then. What is left is not used."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, Characters.Config)
        text, source = (_own_text(), "the embedded text") if config.file is None else _read(Path(config.file))
        parts = _parts(config, text, source)
        known = sorted(set(parts[0]))
        strange = sum(part.count(character) for part in parts[1:] for character in set(part).difference(known))
        labels = (*known, zoo.UNKNOWN) if strange else tuple(known)
        ids = {token: number for number, token in enumerate(labels)}
        tokens = [torch.tensor(zoo.encode(part, ids)) for part in parts]
        if config.predict == "next":
            splits = [_next(part, config.window) for part in tokens]
        else:
            hidden = max(1, round(config.masked * config.window))
            splits = [_masked(part, config.window, hidden, len(labels), seed) for seed, part in enumerate(tokens)]
        train, validation, test = splits
        unknown = f" {strange:,} characters are not in the training part and are one token." if strange else ""
        what = "The pages of Python's help" if config.file is None else Path(config.file).name
        return zoo.Dataset(
            train=train,
            validation=validation,
            test=test,
            signature=zoo.Signature(
                vocabulary=labels if config.predict == "next" else (*labels, _MASK),
                tokenizer="characters",
                labels=labels,
                by_step=True,
            ),
            description=(
                f"{what}, {len(text):,} characters: in their order {len(parts[0]):,} for training, {len(parts[1]):,} "
                f"for validation, {len(parts[2]):,} for testing, cut into windows of {config.window:,}.{unknown}"
            ),
        )


def _own_text() -> str:
    from pydoc_data.topics import topics  # large, and needed by those alone who ask for it

    return "".join(text for _, text in sorted(topics.items()))


def _read(path: Path) -> tuple[str, str]:
    with zoo.open_data(path) as stream:
        text = "".join(zoo.text_lines(path, stream))
    if not text:
        raise zoo.DataError(f"{path}: is empty, expected a text")
    return text, str(path)


def _parts(config: Characters.Config, text: str, source: str) -> list[str]:
    shares = config.train, config.validation, config.test
    if sum(shares) > 1 + 1e-9:
        raise zoo.DataError(f"data.train: with validation and test it makes {sum(shares):g}, expected at most 1")
    ends = [int(sum(shares[:number]) * len(text) + 1e-9) for number in range(4)]
    parts = [text[ends[number] : ends[number + 1]] for number in range(3)]
    needed = config.window + (config.predict == "next")
    if min(map(len, parts)) < needed:
        counts = ", ".join(f"{name} {len(part):,}" for name, part in zip(_PARTS, parts, strict=True))
        raise zoo.DataError(
            f"data.window: too few of the {len(text):,} characters of {source} for a window in each part: {counts}; "
            f"needed are {needed:,} in each"
        )
    return parts


def _next(tokens: Tensor, window: int) -> zoo.Split:
    count = (len(tokens) - 1) // window
    return zoo.Split(
        tokens[: count * window].reshape(count, window), tokens[1 : count * window + 1].reshape(count, window)
    )


def _masked(tokens: Tensor, window: int, hidden: int, mask: int, seed: int) -> zoo.Split:
    """Windows in which ``hidden`` steps at random are the token ``mask``."""
    count = len(tokens) // window
    whole = tokens[: count * window].reshape(count, window)
    random = np.random.RandomState(seed)  # its numbers never change, by NumPy's promise
    order = random.random_sample((count, window)).argsort(axis=1, kind="stable")
    at = torch.zeros(count, window, dtype=torch.bool).scatter_(1, torch.from_numpy(order[:, :hidden]), True)
    return zoo.Split(whole.masked_fill(at, mask), whole.masked_fill(~at, zoo.IGNORED))


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    return [Characters]
