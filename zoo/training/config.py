"""The ``training`` part of a spec: optimiser, learning-rate schedule and all other options of the engine."""

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
"""Learning rate. The bounds of rate and decay keep their product, and the step size of Adam, within float32."""
Decay = Annotated[float, Field(ge=0, le=1e9)]


class SGD(Config):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    lr: Rate = 0.1
    """Learning rate at the peak of the schedule."""
    momentum: Fraction = 0.0
    weight_decay: Decay = 0.0

    def create(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)


class Adam(Config):
    """Adam (Kingma and Ba 2015), with weight decay as an L2 penalty."""

    name: Literal["adam"]
    lr: Rate = 1e-3
    """Learning rate at the peak of the schedule."""
    weight_decay: Decay = 0.0

    def create(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=self.lr, weight_decay=self.weight_decay)


class AdamW(Config):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    name: Literal["adamw"]
    lr: Rate = 1e-3
    """Learning rate at the peak of the schedule."""
    weight_decay: Decay = 0.01

    def create(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=self.lr, weight_decay=self.weight_decay)


class Constant(Config):
    """The same learning rate throughout."""

    name: Literal["constant"]
    warmup: Fraction = 0.0
    """Share of the training in which the rate rises linearly to its peak."""

    def scale(self, progress: float) -> float:
        """Return the factor of the learning rate after a share ``progress`` (0 < progress <= 1) of the training."""
        return min(1.0, progress / self.warmup) if self.warmup else 1.0


class Cosine(Config):
    """Half a cosine from the peak down to zero (Loshchilov and Hutter 2017, equation 5, without restarts)."""

    name: Literal["cosine"]
    warmup: Fraction = 0.0
    """Share of the training in which the rate rises linearly to its peak."""

    def scale(self, progress: float) -> float:
        """Return the factor of the learning rate after a share ``progress`` (0 < progress <= 1) of the training."""
        if progress < self.warmup:
            return progress / self.warmup
        return 0.5 * (1 + cos(pi * (progress - self.warmup) / (1 - self.warmup)))


class OneCycle(Config):
    """One cycle (Smith and Topin 2018): from 1/25 of the peak up to it, then down to 1/250,000, along cosines."""

    name: Literal["one_cycle"]
    warmup: Fraction = 0.3
    """Share of the training in which the rate rises."""

    def scale(self, progress: float) -> float:
        """Return the factor of the learning rate after a share ``progress`` (0 < progress <= 1) of the training."""
        if progress < self.warmup:
            start, end, share = 1 / 25, 1.0, progress / self.warmup
        else:
            start, end, share = 1.0, 1 / 250_000, (progress - self.warmup) / (1 - self.warmup)
        return end + (start - end) * 0.5 * (1 + cos(pi * share))


class EarlyStopping(Config):
    """Stop when the metric that selects the best weights has not improved for a number of epochs.

    At the same metric, a lower validation loss is an improvement.
    """

    patience: Size
    """Epochs without improvement after which training stops."""


class TrainingConfig(Config):
    """Options of the training."""

    epochs: Size = 20
    batch_size: Size = 64
    """Sequences in one optimiser step, over all processes together."""
    optimizer: Annotated[SGD | Adam | AdamW, Field(discriminator="name")] = AdamW(name="adamw")
    schedule: Annotated[Constant | Cosine | OneCycle, Field(discriminator="name")] = Constant(name="constant")
    clip_norm: Positive | None = None
    """Largest norm of the whole gradient; longer ones are scaled down to it."""
    metric: str | None = None
    """Validation metric that selects the best weights; by default the first of the task. Among epochs with the same
    value the one with the lowest validation loss is kept, and among those the last. train_loss: select by the training
    loss, without the validation part."""
    early_stopping: EarlyStopping | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: training under autocast; the weights stay in float32, and so does every evaluation."""
    start_from: str | None = None
    """Weights to start from, in place of random ones: the folder of a run, or a .safetensors or .pt file with tensors
    by name; relative to the current folder. Tensors with the name and shape of the model's are taken; scales are
    not."""
    freeze: tuple[str, ...] = ()
    """Parameters that training leaves as they are: names, or beginnings of names such as encoder and stack.layers.0."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of all random numbers: initial weights, order of the data, dropout."""
    deterministic: bool = False
    """Use deterministic kernels only, even if a GPU has faster ones."""
