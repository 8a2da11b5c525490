"""Data sets as tensors in memory, split into three parts, and the contract of a data source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.config import Config as PartConfig
from zoo.data.caching.mapped import trim
from zoo.data.given import describe, divide, in_words, read_sequences, read_targets, repeated
from zoo.data.signature import Scale, Signature

ARRAYS = "arrays"
"""Name of the data source that stands for a data set which a program gives."""


@dataclass(frozen=True)
class Split:
    """Inputs and targets of one part of a data set, or of a batch of it.

    The first axis of every tensor counts the sequences. Sequences of different lengths are padded at the end.
    """

    x: Tensor
    """Inputs: (sequences, time, features) numbers in the user's units, any real dtype; or (sequences, time) token ids,
    int64, from 0 to the size of the vocabulary less 1. The encoder scales or embeds them."""
    y: Tensor
    """Targets, by the task:

    - ``classification``: (sequences,), int64, the index of a label;
    - ``multilabel``: (sequences, labels), floating, 1 where a sequence has the label, else 0;
    - ``tagging`` and ``language_modelling``: (sequences, time), int64, the index of a label for each step, `IGNORED`
      where a step has no target or is padding;
    - ``regression``: (sequences, targets), floating, in the user's units;
    - ``step_regression``: (sequences, time, targets), floating, in the user's units, NaN where a step has no target or
      is padding;
    - ``forecasting``: (sequences, horizon, targets), floating, in the user's units."""
    lengths: Tensor | None = None
    """(sequences,) int64: valid steps of each sequence, from 1 to time; None where every step of x is valid. Required
    exactly where ``Signature.lengths`` is true."""
    naive: Tensor | None = None
    """Persistence forecast, of the shape and units of y: the last value of each target that is known when the model has
    to predict. For ``forecasting``, and for ``regression`` on a time series; None where there is no such value."""
    seasonal: Tensor | None = None
    """Seasonal persistence, like ``naive``: the value of each target one season before, or as many seasons as it takes
    to be known; None where the data have no season."""

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device) -> Split:
        """Return the same part on another device."""
        return Split(*(None if part is None else part.to(device) for part in self._parts()))  # type: ignore[arg-type]

    def take(self, rows: Tensor | slice) -> Split:
        """Return the selected sequences, without the steps that are padding in all of them.

        Args:
            rows: indices of sequences, int64 (n,), or a slice.
        """
        trim()
        taken = Split(*(None if part is None else part[rows] for part in self._parts()))  # type: ignore[arg-type]
        if taken.lengths is None:
            return taken
        longest = int(taken.lengths.max())
        by_step = taken.y.dim() == 2 and not taken.y.is_floating_point()
        return replace(taken, x=taken.x[:, :longest], y=taken.y[:, :longest] if by_step else taken.y)

    def _parts(self) -> tuple[Tensor | None, ...]:
        return self.x, self.y, self.lengths, self.naive, self.seasonal


@dataclass(frozen=True)
class Dataset:
    """Sequences and their targets in three disjoint parts, with a description of both."""

    train: Split
    """Learns the weights, the scales and the vocabulary."""
    validation: Split
    """Selects the best epoch. Has the axes, dtypes and optional tensors of the training part."""
    test: Split
    """Gives the final metrics, once."""
    signature: Signature
    """Shape and meaning of inputs and targets. Its scales and its vocabulary come from the training part alone."""
    description: str
    """Contents, source and split of the data in a sentence or two, for the model card."""
    repeated: Mapping[str, int] = field(default_factory=dict)
    """For ``validation`` and ``test``, the number of their sequences that the training part contains too: a model may
    have memorised them. Empty where the source does not count them."""
    cache: str = ""
    """Folder of the files from which the tensors are mapped into memory; empty where they are in memory."""

    @property
    def time(self) -> int:
        """Steps of a sequence; of the longest one where lengths differ."""
        return int(self.train.x.shape[1])

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any,
        *,
        labels: Sequence[str] | None = None,
        validation: float = 0.15,
        test: float = 0.15,
        seed: int | None = 0,
        description: str = "",
    ) -> Dataset:
        """Make a data set of arrays or data frames: checked, scaled by feature, and divided into three parts.

        Args:
            x: numbers (sequences, time, features); or a list with an array (time, features) for each sequence, whose
                lengths may differ, or with a table for each sequence: a data frame, a structured array or a dictionary
                of columns, whose names become those of the features. A column of texts or booleans, or of a data
                frame's type for categories, has categories: those in the training part, others are unknown ones.
            y: the targets, whose dtype and shape decide which task fits. Integers, booleans and texts are labels:
                (sequences,) for ``classification``; (sequences, time), or a list of arrays (time,), for ``tagging``.
                Floating-point numbers are (sequences,) or (sequences, targets) for ``regression``, (sequences,
                horizon, targets) for ``forecasting``, and a list of arrays (time,) or (time, targets), NaN where a step
                has no number, for ``step_regression``; a table names its targets. A table of booleans is for
                ``multilabel``.
            labels: the names of the labels, for ``multilabel``: y is then (sequences, labels), true or 1 where a
                sequence has the label.
            validation: share of the sequences that select the best epoch.
            test: share of the sequences that give the final metrics.
            seed: of the random split, in which every part gets its share of each label; None to take the parts in the
                order of the sequences, the training part first, where the sequences follow each other in time.
            description: a sentence on contents and source for the model card.

        Returns:
            The data set, float32. Scales are those of the training part.

        Raises:
            DataError: an array has a wrong shape, dtype or value, with its place; or a part would be empty.
        """
        sequences = read_sequences(x)
        targets = read_targets(y, sequences, labels)
        rows = divide(len(sequences.x), targets.classes, (validation, test), seed)
        sequences = sequences.with_categories_of(rows[0])
        signature = replace(describe(sequences, targets, rows[0]), ordered=seed is None)
        lengths = torch.from_numpy(sequences.lengths) if signature.lengths else None
        whole = Split(torch.from_numpy(sequences.x), torch.from_numpy(targets.y), lengths)
        sentence = in_words(sequences, seed, targets.classes is not None)
        train, validating, testing = (whole.take(torch.from_numpy(part)) for part in rows)
        text = f"{description} {sentence}".strip()
        return cls(train, validating, testing, signature, text, repeated(sequences, rows))


class DataSource(ABC):
    """Base class of data sources.

    A subclass defines ``name``, a ``Config`` whose fields appear under ``data`` in a spec, and `load`. It is created
    without arguments.
    """

    name: ClassVar[str]
    """Value of ``data.name`` in a spec that selects this source."""
    Config: ClassVar[type[PartConfig]] = PartConfig
    """Options of this source, a subclass of `zoo.Config`. The docstring of a field is its description in the JSON
    Schema."""

    @abstractmethod
    def load(self, config: PartConfig) -> Dataset:
        """Return the data set, in memory and already split.

        The same config and files must give the same tensors each time, random splits included: a resumed build and an
        export in another precision load the data again.

        Args:
            config: an instance of this class's ``Config``, validated.

        Raises:
            DataError: a file or a field of the config cannot be used. The message begins with the file and the
                position, or with ``data.`` and the field; it states the actual and the expected value and what to do.
            SpecError: the data would not fit into memory; see `zoo.require_memory`.
        """


def standardisation(x: Tensor) -> Scale:
    """Return mean and standard deviation over all values of x, one pair for all features.

    For features with a common unit, such as the pixels of an image: it keeps their relation to each other, and a
    feature that is constant in the training part does not lead to a division by zero.

    Args:
        x: (sequences, time, features), any real dtype; the training part.

    Returns:
        A scale for ``Signature.input_scale``, with the same offset and the same factor for each feature. The factor is
        1 where all values are equal.
    """
    # In float64 and by chunks: a copy of the whole data set in a wider type would double the memory. The sums are
    # Python floats: a tensor for each chunk would be allocated between the freed chunks and keep their memory in use.
    parts = torch.split(x, 64)
    mean = sum(float(part.sum(dtype=torch.float64)) for part in parts) / x.numel()
    variance = sum(float((part.double() - mean).square().sum()) for part in parts) / x.numel()
    features = x.shape[2]
    return Scale((mean,) * features, (sqrt(variance) or 1.0,) * features)
