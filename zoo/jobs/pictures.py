"""Which pictures a run gets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from zoo.data.dataset import Dataset, Split
from zoo.nn.model import Model
from zoo.parity import Array
from zoo.run.run import Run
from zoo.tasks.task import Statistics
from zoo.training.batches import evaluation_batches
from zoo.training.engine import EVALUATION_BATCH
from zoo.training.progress import EpochRecord


def draw(
    run: Run,
    model: Model,
    dataset: Dataset,
    history: Sequence[EpochRecord],
    metric: str,
    statistics: Statistics,
) -> None:
    """Draw the learning curves and what suits the task: a confusion matrix, or predicted beside true numbers.

    Args:
        statistics: of the test part.
    """
    # Not before training, which may need the memory.
    from zoo.plots.confusion import plot_confusion
    from zoo.plots.curves import plot_curves
    from zoo.plots.numbers import plot_scatter, plot_series

    plot_curves(history, metric, run.curves_file)
    signature = dataset.signature
    if "confusion" in statistics:
        plot_confusion(statistics["confusion"].cpu().numpy(), signature.labels, run.confusion_file)
    if not signature.targets:
        return
    if signature.ordered:
        parts = {"training": dataset.train, "validation": dataset.validation, "test": dataset.test}
        series = {name: (_first(part.y.numpy()), _first(answers(model, part))) for name, part in parts.items()}
        ahead = "one step ahead" if signature.horizon else "the same step"
        plot_series(series, f"{signature.targets[0]}, {ahead}", run.predictions_file)
    else:
        true, predicted = _first(dataset.test.y.numpy()), _first(answers(model, dataset.test))
        plot_scatter(true, predicted, signature.targets[0], run.predictions_file)


@torch.inference_mode()
def answers(model: Model, part: Split) -> Array:
    """What the model says of each sequence in the user's units: the output ``y``, shaped as the part's y."""
    model.eval()
    found = np.empty(part.y.shape, np.float32)
    for batch, rows in evaluation_batches(part, EVALUATION_BATCH):
        on = batch.to(model.device)
        found[rows] = model.outputs(on.x, on.lengths)["y"].cpu().numpy()
    return found


def _first(y: Array) -> Array:
    """(n, targets) or (n, horizon, targets) -> (n,): the first target, the first step of the future."""
    return y.reshape(len(y), -1)[:, 0]
