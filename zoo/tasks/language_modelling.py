"""The task ``language_modelling``: the next token at every step."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any, ClassVar, Literal

from torch import Tensor

import zoo
from zoo.tasks.tagging import Tagging

__all__ = ["LanguageModelling", "zoo_register_tasks"]


class LanguageModelling(Tagging):
    """Tagging whose classes are the tokens of the vocabulary, with cross-entropy reported in bits per character."""

    name = "language_modelling"
    Config = zoo.TaskConfig
    better: ClassVar[Mapping[str, Literal["higher", "lower"]]] = {
        "bits_per_character": "lower",
        "accuracy": "higher",
        "loss": "lower",
    }

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        """Return sums over the steps with a target: ``loss`` in nats, ``hits`` (correct tokens) and ``count``."""
        sums = zoo.class_statistics(scores, target)
        return {
            "loss": sums["loss"],
            "hits": sums["confusion"].diagonal().sum(),
            "count": sums["confusion"].sum(),
        }

    def metrics(self, statistics: zoo.Statistics) -> dict[str, float]:
        """Return mean cross-entropy in nats and in bits (nats / ln 2), and the share of correct tokens."""
        loss = float(statistics["loss"] / statistics["count"])
        return {
            "loss": loss,
            "bits_per_character": loss / log(2),
            "accuracy": float(statistics["hits"] / statistics["count"]),
        }

    def table(self, statistics: zoo.Statistics) -> list[dict[str, Any]]:  # noqa: ARG002  (no rows)
        """Return no rows: tokens are no classes that people look at one by one."""
        return []

    def baselines(self, train: zoo.Split, part: zoo.Split) -> Mapping[str, Tensor]:
        """Return ``uniform``, all tokens equally probable, and ``unigram``, the frequencies of the training part."""
        unigram = zoo.class_frequencies(train, self.outputs)
        return {
            "uniform": unigram.new_zeros(self.outputs).expand(*part.y.shape, -1),
            "unigram": unigram.expand(*part.y.shape, -1),
        }


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    """Register `LanguageModelling` as the task ``language_modelling``."""
    return [LanguageModelling]
