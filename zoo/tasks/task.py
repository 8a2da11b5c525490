"""The contract of a task: head, loss, metrics and baselines of a kind of target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, cast

from torch import Tensor, nn

from zoo.config import Config as PartConfig
from zoo.data.dataset import Split
from zoo.data.signature import Signature
from zoo.errors import SpecError
from zoo.nn.head import HeadConfig, make_head

Statistics = dict[str, Tensor]
"""Sums over examples, by name, from which metrics follow.

Tensors of any shape, float64. The statistics of two disjoint sets of examples, added name by name, are those of their
union: batches and processes are combined in this way.
"""


Answers = Literal["class", "labels", "classes", "numbers", "step_numbers", "future"]
"""Kind of the targets, which a task and a data set must share; see `Split.y` for shapes and dtypes.

- ``class``: a class for each sequence;
- ``labels``: any number of labels for each sequence;
- ``classes``: a class for each step;
- ``numbers``: numbers for each sequence, about its own steps;
- ``step_numbers``: numbers for each step;
- ``future``: numbers for each step of the horizon, after the sequence.
"""


class TaskConfig(PartConfig):
    """Options of a task. The fields of a subclass appear under ``task`` in a spec and in the JSON Schema."""

    head: HeadConfig = HeadConfig()
    """The layers between the recurrent layers and the scores."""


class Task(ABC):
    """Base class of tasks: head, loss, metrics and baselines for one kind of target.

    The head maps the features of the recurrent layers to scores, the numbers that loss and metrics are computed from.
    The readout maps the scores to the named outputs of the exported file, such as probabilities. Scores are (batch,
    time, outputs) where ``by_step`` is true, else (batch, outputs).

    Args:
        config: the part ``task`` of the spec, an instance of this class's ``Config``.
        signature: shape and meaning of inputs and targets of the data.

    Raises:
        SpecError: the targets of the data are not of the kind ``answers``.
    """

    name: ClassVar[str]
    """Value of ``task.name`` in a spec that selects this task."""
    Config: ClassVar[type[TaskConfig]] = TaskConfig
    """Options of this task, a subclass of `zoo.TaskConfig`."""
    answers: ClassVar[Answers]
    """Kind of target that this task predicts."""
    better: ClassVar[Mapping[str, Literal["higher", "lower"]]]
    """The metrics, the most important first, and the direction in which each is better. The first is the default of
    ``training.metric``."""
    ranked: ClassVar[tuple[str, ...]] = ()
    """Those of them that need all scores of a part at once; see `ranking`."""

    def __init__(self, config: PartConfig, signature: Signature) -> None:
        if (kind := _kind(signature)) != self.answers:
            raise SpecError(
                f"task.name: {self.name!r} predicts {_WORDS[self.answers]}, and these data have {_WORDS[kind]}; "
                f"use {_NAMES[kind]}"
            )
        self.config = cast("TaskConfig", config)
        self.signature = signature

    def fit(self, train: Split) -> None:  # noqa: B027  (optional)
        """Take from the training part what loss and metrics need, such as class weights; by default nothing.

        It is called before the training and before an evaluation, in every process. It must not draw random numbers, so
        that a resumed training is the same.

        Args:
            train: the training part, on the CPU.

        Raises:
            SpecError: the targets do not suit the options of the task.
        """

    @property
    def by_step(self) -> bool:
        """Whether each step is scored, rather than the sequence."""
        return self.answers in ("classes", "step_numbers")

    @property
    def known_metrics(self) -> tuple[str, ...]:
        """The names in ``better`` that this task computes with its options and data: after `fit`, by default all."""
        return tuple(self.better)

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of scores for each sequence, or for each step where ``by_step`` is true."""

    def head(self, features: int) -> nn.Module:
        """Return a new module from (..., features) to scores (..., outputs), by default the one of ``config.head``."""
        return make_head(features, self.outputs, self.config.head)

    @abstractmethod
    def readout(self) -> nn.Module:
        """Return a module from scores to a dictionary of named outputs, in the user's units."""

    def for_batch(self, x: Tensor) -> Self:  # noqa: ARG002  (the same for each batch, unless overridden)
        """Return the task for the sequences of a batch: this one, unless its units depend on the group of a sequence.

        Args:
            x: the `Split.x` of the batch, for whose scores and targets the result is used.
        """
        return self

    @abstractmethod
    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        """Return the training loss of a batch: the mean over its sequences, so that parts of a batch can be combined.

        Args:
            scores: (batch, outputs) or (batch, time, outputs), floating.
            target: the `Split.y` of the batch.

        Returns:
            A differentiable scalar.
        """

    @abstractmethod
    def statistics(self, scores: Tensor, target: Tensor) -> Statistics:
        """Return the sums over a batch from which `metrics` follow; arguments as for `loss`."""

    @abstractmethod
    def metrics(self, statistics: Statistics) -> dict[str, float]:
        """Return the metrics of summed statistics: ``loss`` and all of `known_metrics` but the ``ranked`` ones."""

    def ranking(self, scores: Tensor, target: Tensor) -> dict[str, float]:  # noqa: ARG002  (none, unless overridden)
        """Return the metrics ``ranked`` of a whole part of the data, which no sum over batches can give.

        They are computed for the final results, and after each epoch only if ``training.metric`` names one of them.

        Args:
            scores: (sequences, outputs), on the CPU.
            target: the `Split.y` of the part, on the CPU.
        """
        return {}

    def table(self, statistics: Statistics) -> list[dict[str, Any]]:  # noqa: ARG002  (none, unless overridden)
        """Return a row for each class, such as `zoo.class_table` makes, for the model card; by default none."""
        return []

    def baselines(self, train: Split, part: Split) -> Mapping[str, Tensor]:  # noqa: ARG002  (none, unless overridden)
        """Return the scores of naive predictors for ``part``, by name.

        Args:
            train: the training part, from which a predictor may take frequencies and means.
            part: the part to predict; a predictor may use its ``naive`` and ``seasonal``, and the shapes of the others.

        Returns:
            For each predictor scores of the shape of the model's, for all sequences of ``part``.
        """
        return {}


_WORDS: Mapping[Answers, str] = {
    "class": "a class for each sequence",
    "labels": "several labels for each sequence",
    "classes": "a class for each step",
    "numbers": "numbers for each sequence",
    "step_numbers": "numbers for each step",
    "future": "numbers of the future",
}
_NAMES: Mapping[Answers, str] = {
    "class": "'classification'",
    "labels": "'multilabel'",
    "classes": "'tagging' or 'language_modelling'",
    "numbers": "'regression'",
    "step_numbers": "'step_regression'",
    "future": "'forecasting'",
}


def _kind(signature: Signature) -> Answers:
    """Return the kind of the targets that a signature describes."""
    if signature.multilabel:
        return "labels"
    if signature.labels:
        return "classes" if signature.by_step else "class"
    if signature.horizon:
        return "future"
    return "step_numbers" if signature.by_step else "numbers"
