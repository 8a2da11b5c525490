"""The models that the benchmarks measure."""

from __future__ import annotations

import torch

from zoo.data.signature import Scale, Signature
from zoo.nn.model import Model
from zoo.plugins.architecture import build_model
from zoo.plugins.registry import load_registry
from zoo.tasks.task import TaskConfig


def make_model(name: str, features: int, *, mean: float = 0.0, std: float = 1.0, **options: object) -> Model:
    """Make a model of an installed architecture with ten classes and initial weights, in inference mode."""
    registry = load_registry()
    architecture = registry.architectures[name]
    scale = Scale((mean,) * features, (std,) * features)
    signature = Signature(features=features, labels=tuple("0123456789"), input_scale=scale)
    task = registry.tasks["classification"](TaskConfig(), signature)
    config = architecture.config.model_validate({"name": name, **options})
    torch.manual_seed(0)
    return build_model(architecture.layer, config, None, task).eval()
