"""Language modelling: at every step the next token."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import ClassVar, Literal

from torch import Tensor

import zoo
from zoo.tasks.tagging import Tagging

__all__ = ["LanguageModelling", "zoo_register_tasks"]


class LanguageModelling(Tagging):
    """Tagging whose classes are the tokens of the vocabulary, reported in bits."""

    name = "language_modelling"
    better: ClassVar[Mapping[str, Literal["higher", "lower"]]] = {
        "bits_per_character": "lower",
        "accuracy": "higher",
        "loss": "lower",
    }

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        """Sums over the steps: ``loss`` in nats, ``hits``, ``count``."""
        counted = zoo.class_statistics(scores, target)
        return {
            "loss": counted["loss"],
            "hits": counted["confusion"].diagonal().sum(),
            "count": counted["confusion"].sum(),
        }

    def metrics(self, statistics: zoo.Statistics) -> dict[str, float]:
        """Cross-entropy in nats and in bits (the nats over ln 2), and the share of tokens guessed right."""
        loss = float(statistics["loss"] / statistics["count"])
        return {
            "loss": loss,
            "bits_per_character": loss / log(2),
            "accuracy": float(statistics["hits"] / statistics["count"]),
        }

    def baselines(self, train: zoo.Split, part: zoo.Split) -> Mapping[str, Tensor]:
        """``uniform``: all tokens alike; ``unigram``: each as often as in the training part, whatever stands before."""
        unigram = zoo.class_frequencies(train, self.outputs)
        return {
            "uniform": unigram.new_zeros(self.outputs).expand(*part.y.shape, -1),
            "unigram": unigram.expand(*part.y.shape, -1),
        }


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    return [LanguageModelling]
