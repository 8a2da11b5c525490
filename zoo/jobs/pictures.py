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
    if signature.ordered and not signature.by_step:
        parts = {"training": dataset.train, "validation": dataset.validation, "test": dataset.test}
        series = {name: _first(part.y.numpy(), predictions(model, part)) for name, part in parts.items()}
        ahead = "one step ahead" if signature.horizon else "the same step"
        plot_series(series, f"{signature.targets[0]}, {ahead}", run.predictions_file)
    else:
        true, predicted = _first(dataset.test.y.numpy(), predictions(model, dataset.test), by_step=signature.by_step)
        plot_scatter(true, predicted, signature.targets[0], run.predictions_file)


@torch.inference_mode()
def predictions(model: Model, part: Split) -> Array:
    """Return the model's output ``y`` for a part of the data, in the user's units, with the shape of the part's y."""
    model.eval()
    result = np.zeros(part.y.shape, np.float32)
    for batch, rows in evaluation_batches(part, EVALUATION_BATCH):
        inputs = batch.to(model.device)
        y = model.outputs(inputs.x, inputs.lengths)["y"].cpu().numpy()
        result[rows, : y.shape[1]] = y  # by step, without the padding of the whole part
    return result


def _first(true: Array, predicted: Array, *, by_step: bool = False) -> tuple[Array, Array]:
    """Return the first target and its prediction, (n,) each: at the first step of a forecast, or at all steps.

    Args:
        true: (n, targets), (n, horizon, targets) or by step (n, time, targets), NaN where there is no target.
        predicted: of the same shape.
        by_step: whether there is a target at each step.
    """
    if by_step:
        valid = ~np.isnan(true[..., 0])
        return true[..., 0][valid], predicted[..., 0][valid]
    return true.reshape(len(true), -1)[:, 0], predicted.reshape(len(predicted), -1)[:, 0]
