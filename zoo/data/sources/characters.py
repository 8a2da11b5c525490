"""The data source ``characters``: windows over a text, for the next or for a hidden character."""

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
    """Windows over a text, each character a step; they do not overlap and do not cross the border of a part.

    The vocabulary is that of the training part; all other characters of validation and test share one token.
    """

    name = "characters"

    class Config(zoo.Config):
        file: str | None = None
        """A text file in UTF-8, relative to the current folder. When left out, the pages of Python's own help, which
        differ a little between versions of Python."""
        window: zoo.Size = 64
        """Characters of a sequence."""
        predict: Literal["next", "masked"] = "next"
        """The target of each step: next: the character that follows; masked: the character itself, at the steps where
        the input hides it."""
        masked: Share = 0.15
        """Share of a window's characters that are hidden, at least one; always the same ones."""
        train: Share = 0.8
        """Share of the text for training, from its beginning."""
        validation: Share = 0.1
        """Share of the text for validation, after the training part."""
        test: Share = 0.1
        """Share of the text for testing, after the validation part. The rest is not used."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, Characters.Config)
        text, source = (_own_text(), "the embedded text") if config.file is None else _read(Path(config.file))
        parts = _parts(config, text, source)
        alphabet = sorted(set(parts[0]))
        unknown = sum(part.count(character) for part in parts[1:] for character in set(part).difference(alphabet))
        labels = (*alphabet, zoo.UNKNOWN) if unknown else tuple(alphabet)
        ids = {token: number for number, token in enumerate(labels)}
        tokens = [torch.tensor(zoo.encode(part, ids)) for part in parts]
        if config.predict == "next":
            splits = [_next(part, config.window) for part in tokens]
        else:
            hidden = max(1, round(config.masked * config.window))
            splits = [_masked(part, config.window, hidden, len(labels), seed) for seed, part in enumerate(tokens)]
        train, validation, test = splits
        note = f" {unknown:,} characters are not in the training part and share one token." if unknown else ""
        name = "The pages of Python's help" if config.file is None else Path(config.file).name
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
                f"{name}, {len(text):,} characters: in their order {len(parts[0]):,} for training, {len(parts[1]):,} "
                f"for validation, {len(parts[2]):,} for testing, cut into windows of {config.window:,}.{note}"
            ),
        )


def _own_text() -> str:
    from pydoc_data.topics import topics  # large, and needed only without a file

    return "".join(text for _, text in sorted(topics.items()))


def _read(path: Path) -> tuple[str, str]:
    with zoo.open_data(path) as stream:
        text = "".join(zoo.text_lines(path, stream))
    if not text:
        raise zoo.DataError(f"{path}: is empty, expected a text; give another file")
    return text, str(path)


def _parts(config: Characters.Config, text: str, source: str) -> list[str]:
    shares = config.train, config.validation, config.test
    if sum(shares) > 1 + 1e-9:
        raise zoo.DataError(f"data.train: the parts add up to {sum(shares):g}, expected at most 1; lower one of them")
    ends = [int(sum(shares[:number]) * len(text) + 1e-9) for number in range(4)]
    parts = [text[ends[number] : ends[number + 1]] for number in range(3)]
    needed = config.window + (config.predict == "next")
    if min(map(len, parts)) < needed:
        counts = ", ".join(f"{name} {len(part):,}" for name, part in zip(_PARTS, parts, strict=True))
        raise zoo.DataError(
            f"data.window: too few of the {len(text):,} characters of {source} for a window in each part: {counts}, "
            f"expected at least {needed:,} in each; lower data.window or give a longer text"
        )
    return parts


def _next(tokens: Tensor, window: int) -> zoo.Split:
    count = (len(tokens) - 1) // window
    return zoo.Split(
        tokens[: count * window].reshape(count, window), tokens[1 : count * window + 1].reshape(count, window)
    )


def _masked(tokens: Tensor, window: int, hidden: int, mask: int, seed: int) -> zoo.Split:
    """Return windows in which ``hidden`` random steps are the token ``mask``; their characters are the targets."""
    count = len(tokens) // window
    whole = tokens[: count * window].reshape(count, window)
    random = np.random.RandomState(seed)  # NumPy guarantees that its stream never changes
    order = random.random_sample((count, window)).argsort(axis=1, kind="stable")
    masked = torch.zeros(count, window, dtype=torch.bool).scatter_(1, torch.from_numpy(order[:, :hidden]), True)
    return zoo.Split(whole.masked_fill(masked, mask), whole.masked_fill(~masked, zoo.IGNORED))


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    """Register `Characters` as the data source ``characters``."""
    return [Characters]
