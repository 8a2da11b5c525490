"""A run's language model in torch, for runs without an exported file for streaming."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.errors import RunError
from zoo.jobs.sample import LanguageModel, require_language_model
from zoo.nn.cell import State
from zoo.plugins.registry import Registry
from zoo.run.run import Run
from zoo.spec.spec import part_name


def torch_model(run: Run, registry: Registry) -> LanguageModel:
    """Return the run's trained model, which keeps its states from step to step.

    Args:
        run: a finished run.
        registry: gives the run's architecture and task.

    Raises:
        RunError: where a file of the run is missing or was altered, or the model is not a forward language model of
            characters.
    """
    spec, task, model = run.load(registry)
    require_language_model(part_name(spec.task), task.signature, run.path)
    if model.stack.direction != "forward":
        raise RunError(
            f"{run.path}: is a {model.stack.direction} model, which needs the whole text at every step; name a run "
            "of direction forward"
        )
    states: Sequence[Sequence[State]] | None = None

    @torch.inference_mode()
    def step(token: int) -> NDArray[np.float32]:
        nonlocal states
        encoded = model.encoder(torch.tensor([[token]])).transpose(0, 1)
        outputs, _, states = model.stack(encoded, None, states)
        scores: NDArray[np.float32] = model.readout(model.head(outputs[0]))["logits"][0].numpy()
        return scores

    return LanguageModel(task.signature, step)
