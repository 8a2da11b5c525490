"""Scales of features and targets from the training steps, of all series together or of each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zoo.data.caching.mapped import trim
from zoo.data.preparation.form import Feature
from zoo.data.signature import Scale

__all__ = ["Scaling", "feature_scale", "scale"]

Scaling = Literal["standard", "min_max", "none"]


def scale(columns: Sequence[NDArray[np.float64]], scaling: Scaling) -> Scale | None:
    """Return the scale of columns of numbers, each (n,); a constant column becomes 0 and has a factor of 1.

    Args:
        columns: the values of the training steps, finite.
        scaling: standard: mean 0 and standard deviation 1; min_max: from 0 to 1; none: None is returned.
    """
    if scaling == "none":
        return None
    pairs = [_pair(values, scaling) for values in columns]
    return Scale(tuple(offset for offset, _ in pairs), tuple(factor for _, factor in pairs))


def feature_scale(features: Sequence[Feature], x: NDArray[np.float64], scaling: Scaling) -> Scale | None:
    """Return the scale of features.

    Categories and masks are not scaled. A feature that looks ahead has the scale of its column, so that a value is the
    same number now and ahead.

    Args:
        features: the features.
        x: (n, features) their values in the training steps, finite except for features that look ahead.
        scaling: as for `scale`.
    """
    own = {
        feature.column: number
        for number, feature in enumerate(features)
        if feature.kind == "number" and not feature.ahead
    }
    if scaling == "none":
        return None
    pairs = [
        _pair(x[:, own[feature.column]], scaling) if feature.kind == "number" else (0.0, 1.0) for feature in features
    ]
    return Scale(tuple(offset for offset, _ in pairs), tuple(factor for _, factor in pairs))


def _pair(values: NDArray[np.float64], scaling: Scaling) -> tuple[float, float]:
    trim()
    low, high = values.min(), values.max()
    if low == high:
        return float(low), 1.0
    offset, factor = (values.mean(), values.std()) if scaling == "standard" else (low, high - low)
    # The model keeps scales as float32, in which the factor of a nearly constant column may be 0.
    return float(offset), float(factor) if np.float32(factor) else 1.0
