"""The ``training`` part of a spec: optimisers, learning-rate schedules and everything else the engine is told."""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, pi
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from zoo.config import Config, Fraction, Size

Positive = Annotated[float, Field(gt=0)]
Rate = Annotated[float, Field(gt=0, le=1e9)]
"""A learning rate. The bounds of rate and decay keep their product, and what Adam makes of it, within float32."""
Decay = Annotated[float, Field(ge=0, le=1e9)]


class SGD(Config):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    lr: Rate = 0.1
    """Learning rate at the height of the schedule."""
    momentum: Fraction = 0.0
    weight_decay: Decay = 0.0

    def create(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)


class Adam(Config):
    """Adam (Kingma and Ba 2015), with weight decay as an L2 penalty."""

    name: Literal["adam"]
    lr: Rate = 1e-3
    """Learning rate at the height of the schedule."""
    weight_decay: Decay = 0.0

    def create(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=self.lr, weight_decay=self.weight_decay)


class AdamW(Config):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    name: Literal["adamw"]
    lr: Rate = 1e-3
    """Learning rate at the height of the schedule."""
    weight_decay: Decay = 0.01

    def create(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=self.lr, weight_decay=self.weight_decay)


class Constant(Config):
    """The same learning rate throughout."""

    name: Literal["constant"]
    warmup: Fraction = 0.0
    """Share of the training in which the rate rises linearly to its height."""

    def scale(self, progress: float) -> float:
        """Factor of the learning rate when ``progress`` (above 0, up to 1) of the training is done."""
        return min(1.0, progress / self.warmup) if self.warmup else 1.0


class Cosine(Config):
    """Half a cosine from the height down to zero (Loshchilov and Hutter 2017, equation 5, without restarts)."""

    name: Literal["cosine"]
    warmup: Fraction = 0.0
    """Share of the training in which the rate rises linearly to its height."""

    def scale(self, progress: float) -> float:
        """Factor of the learning rate when ``progress`` (above 0, up to 1) of the training is done."""
        if progress < self.warmup:
            return progress / self.warmup
        return 0.5 * (1 + cos(pi * (progress - self.warmup) / (1 - self.warmup)))


class OneCycle(Config):
    """Up and down once (Smith and Topin 2018): from 1/25 of the height to it, then down to 1/250,000, along cosines."""

    name: Literal["one_cycle"]
    warmup: Fraction = 0.3
    """Share of the training in which the rate rises."""

    def scale(self, progress: float) -> float:
        """Factor of the learning rate when ``progress`` (above 0, up to 1) of the training is done."""
        if progress < self.warmup:
            start, end, share = 1 / 25, 1.0, progress / self.warmup
        else:
            start, end, share = 1.0, 1 / 250_000, (progress - self.warmup) / (1 - self.warmup)
        return end + (start - end) * 0.5 * (1 + cos(pi * share))


class EarlyStopping(Config):
    """Stop when the metric that chooses the best weights, or at the same metric the validation loss, has not improved
    for a while."""

    patience: Size
    """Epochs without improvement after which training stops."""


class TrainingConfig(Config):
    """How the model is trained."""

    epochs: Size = 20
    batch_size: Size = 64
    """Sequences in one step, over all processes together."""
    optimizer: Annotated[SGD | Adam | AdamW, Field(discriminator="name")] = AdamW(name="adamw")
    schedule: Annotated[Constant | Cosine | OneCycle, Field(discriminator="name")] = Constant(name="constant")
    clip_norm: Positive | None = None
    """Largest norm of the whole gradient; longer ones are scaled down to it."""
    metric: str | None = None
    """The validation metric that chooses the best weights; the task's first one when left out. Of epochs with the same
    value the one with the lowest validation loss is kept, and of those the last. train_loss: the training loss, for a
    training in which the validation part is to have no say."""
    early_stopping: EarlyStopping | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: training under autocast; the weights stay in float32, and so does every evaluation."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Start of everything random: the first weights, the order of the data, dropout."""
    deterministic: bool = False
    """Use deterministic kernels only, where a GPU has faster ones that are not."""
