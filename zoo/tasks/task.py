"""What a model is for: the contract of a task, which is a head, a loss, metrics and naive baselines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, cast

from torch import Tensor, nn

from zoo.config import Config as PartConfig
from zoo.data.dataset import Split
from zoo.data.signature import Signature
from zoo.errors import SpecError
from zoo.nn.head import HeadConfig, make_head

Statistics = dict[str, Tensor]
"""Sums over examples, from which metrics follow. Statistics of two parts of the data add up to those of the whole."""


Answers = Literal["class", "classes", "numbers", "future"]


class TaskConfig(PartConfig):
    """The options of a task. A subclass's fields appear in specs and in the JSON Schema."""

    head: HeadConfig = HeadConfig()
    """The layers on top of the recurrent ones."""


class Task(ABC):
    """A head, a loss, metrics, and what they are worth.

    Args:
        config: the task's part of the spec.
        signature: what the data ask for.

    Raises:
        SpecError: where these data are not for this task.
    """

    name: ClassVar[str]
    Config: ClassVar[type[TaskConfig]] = TaskConfig
    answers: ClassVar[Answers]
    """What the data must ask for: a class for each sequence or for each step; numbers of the present or of the future.
    Where it is ``classes``, the model scores every step."""
    better: ClassVar[Mapping[str, Literal["higher", "lower"]]]
    """The metrics that `metrics` gives and which way is better, the most important one first."""

    def __init__(self, config: PartConfig, signature: Signature) -> None:
        if (asked := _asked(signature)) != self.answers:
            raise SpecError(
                f"task.name: {self.name!r} tells {_WORDS[self.answers]}, and these data ask for {_WORDS[asked]}; "
                f"take {_NAMES[asked]}"
            )
        self.config = cast("TaskConfig", config)
        self.signature = signature

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many scores there are for each sequence, or for each step."""

    def head(self, features: int) -> nn.Module:
        """A module from (..., features) to scores (..., outputs)."""
        return make_head(features, self.outputs, self.config.head)

    @abstractmethod
    def readout(self) -> nn.Module:
        """A module from scores to the named outputs that a user sees."""

    @abstractmethod
    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, a scalar: the mean over its sequences, so that parts of a batch add up to the whole."""

    @abstractmethod
    def statistics(self, scores: Tensor, target: Tensor) -> Statistics:
        """Sums over a batch."""

    @abstractmethod
    def metrics(self, statistics: Statistics) -> dict[str, float]:
        """Metrics from summed statistics: ``loss`` and every key of ``better``."""

    def baselines(self, train: Split, part: Split) -> Mapping[str, Tensor]:  # noqa: ARG002  (none, unless overridden)
        """What naive predictors that know ``train`` would score for ``part``, by their names; shaped as scores."""
        return {}


_WORDS: Mapping[Answers, str] = {
    "class": "a class for each sequence",
    "classes": "a class for each step",
    "numbers": "numbers for each sequence",
    "future": "numbers of the future",
}
_NAMES: Mapping[Answers, str] = {
    "class": "'classification'",
    "classes": "'tagging' or 'language_modelling'",
    "numbers": "'regression'",
    "future": "'forecasting'",
}


def _asked(signature: Signature) -> Answers:
    """What the data ask for, in the words of `Task.answers`."""
    if signature.labels:
        return "classes" if signature.by_step else "class"
    return "future" if signature.horizon else "numbers"
