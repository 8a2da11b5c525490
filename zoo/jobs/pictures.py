"""Pictures of a finished training, chosen by the task."""

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


def draw_pictures(
    run: Run,
    model: Model,
    dataset: Dataset,
    history: Sequence[EpochRecord],
    metric: str,
    statistics: Statistics,
) -> None:
    """Draw the learning curves and, by the task, a confusion matrix or predicted beside true numbers.

    Args:
        run: the run whose folder gets the pictures.
        model: the trained model.
        dataset: the data of the run.
        history: the records of all epochs.
        metric: the validation metric that selected the weights.
        statistics: sums over the test part; see `zoo.tasks.task.Statistics`.
    """
    # Imported after the training, which may need the memory.
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
        series = {name: (_first(part.y.numpy()), _first(predictions(model, part))) for name, part in parts.items()}
        ahead = "one step ahead" if signature.horizon else "the same step"
        plot_series(series, f"{signature.targets[0]}, {ahead}", run.predictions_file)
    else:
        true, predicted = _first(dataset.test.y.numpy()), _first(predictions(model, dataset.test))
        plot_scatter(true, predicted, signature.targets[0], run.predictions_file)


@torch.inference_mode()
def predictions(model: Model, part: Split) -> Array:
    """Return the model's output ``y`` for a part of the data, in the user's units, with the shape of the part's y."""
    model.eval()
    result = np.empty(part.y.shape, np.float32)
    for batch, rows in evaluation_batches(part, EVALUATION_BATCH):
        inputs = batch.to(model.device)
        result[rows] = model.outputs(inputs.x, inputs.lengths)["y"].cpu().numpy()
    return result


def _first(y: Array) -> Array:
    """Return the first target, at the first step of a forecast: (n, targets) or (n, horizon, targets) -> (n,)."""
    return y.reshape(len(y), -1)[:, 0]
