"""Complete models for tests of the export and its proof: a stack between a normaliser and a head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import zoo
from tests.support.builders import config_type, layer_type, make_stack
from zoo.nn.pooling import Pooling
from zoo_onnx import OnnxExporter

FEATURES, CLASSES = 8, 10


def make_model(
    kind: str,
    *,
    seed: int = 0,
    recurrent_gain: float = 1.0,
    encoder: zoo.Normaliser | zoo.Embedding | zoo.OneHot | None = None,
    takes_lengths: bool = False,
    **options: object,
) -> zoo.Model:
    """Create a float32 model of one of `ALL_KINDS` in evaluation mode.

    Args:
        seed: of the weights.
        recurrent_gain: factor of the recurrent weights; a larger one brings the model nearer to chaos.
        encoder: by default a normaliser for the grey values of `draw`.
        options: options of a spec's architecture; ``pooling`` is ``last`` by default, and None scores each step.
    """
    if encoder is None:
        # Plausible means and deviations of grey values from 0 to 16, slightly different for each feature.
        places = torch.arange(FEATURES)
        means, deviations = 4.5 + 0.125 * places, 5.5 + 0.25 * places
        encoder = zoo.Normaliser(zoo.Scale(tuple(means.tolist()), tuple(deviations.tolist())))
    stack = make_stack(kind, input_size=encoder.output_size, seed=seed, dtype=torch.float32, **options)
    with torch.no_grad():
        for name, parameter in stack.named_parameters():
            if name.endswith("h2h.weight"):
                parameter.mul_(recurrent_gain)
    pooling = cast("Pooling | None", options.get("pooling", "last"))
    head = nn.Linear(stack.output_size, CLASSES)
    return zoo.Model(encoder, stack, pooling, head, zoo.SoftmaxReadout(), takes_lengths=takes_lengths).eval()


def model_of(cell: type[zoo.Cell], *, takes_lengths: bool = False, **options: object) -> zoo.Model:
    """Create a float32 model of any cell in evaluation mode; ``options`` are those of a spec's architecture."""
    config = config_type(cell).model_validate({"hidden_size": 5, **options})
    stack = zoo.Stack(layer_type(cell), FEATURES, config)
    encoder, head = (
        zoo.Normaliser(zoo.Scale((8.0,) * FEATURES, (4.0,) * FEATURES)),
        nn.Linear(stack.output_size, CLASSES),
    )
    return zoo.Model(encoder, stack, config.pooling, head, zoo.SoftmaxReadout(), takes_lengths=takes_lengths).eval()


def draw(batch: int, time: int, seed: int = 0) -> NDArray[np.float32]:
    """Draw grey values (batch, time, FEATURES)."""
    generator = np.random.default_rng(seed)
    return generator.uniform(0, 16, (batch, time, FEATURES)).astype(np.float32)


def sequences(x: NDArray[Any], lengths: Sequence[int] | None = None) -> zoo.Split:
    """Return a split with inputs and meaningless targets."""
    return zoo.Split(torch.from_numpy(x), torch.zeros(len(x)), None if lengths is None else torch.tensor(lengths))


def write(model: zoo.Model, folder: Path, opset: int | None = None, **options: Any) -> Path:
    """Export a model to a file of the folder; ``options`` are those of `zoo.ExportOptions`."""
    chosen = zoo.ExportOptions(opset, **options)
    path = folder / ("model.stream.onnx" if chosen.streaming else "model.onnx")
    OnnxExporter().export(model, path, {}, chosen)
    return path
