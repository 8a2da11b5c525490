"""Generated recordings of activities, as a sensor at the hip gives them: acceleration in three axes, 20 times a second.

Each subject has a tempo, a vigour and an own way to wear the sensor, so that a model that only knows some subjects has
to generalise to the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.data.recordings.columns import ArrayColumns
from zoo.data.recordings.recordings import Recordings

ACTIVITIES = {
    # steps per second, bounce in g, sway in g, share of the second harmonic
    "climbing": (1.5, 0.25, 0.20, 0.6),
    "resting": (0.3, 0.01, 0.02, 0.0),
    "running": (2.7, 0.90, 0.25, 0.2),
    "walking": (1.9, 0.30, 0.10, 0.2),
}
AXES = ("forward", "sideways", "upward")
RATE = 20
"""Values of each axis in a second."""
SUBJECTS = 20
_REPEATS = 3
"""Recordings of each activity by each subject."""


def activities() -> Recordings:
    """Return 240 recordings of 3 to 12 seconds: 4 activities, 20 subjects; the columns ``activity`` and ``subject``."""
    random = np.random.RandomState(0)  # NumPy guarantees that its stream never changes
    recordings: list[NDArray[np.float64]] = []
    labels, subjects = [], []
    for subject in range(SUBJECTS):
        tempo, vigour = random.uniform(0.85, 1.15), random.uniform(0.6, 1.5)
        tilt, turn = random.uniform(-0.5, 0.5, 2)
        worn = _rotation(0, 2, tilt) @ _rotation(0, 1, turn)
        for activity, (rate, bounce, sway, second) in ACTIVITIES.items():
            for _ in range(_REPEATS):
                time = np.arange(random.randint(3 * RATE, 12 * RATE + 1)) / RATE
                pace = 2 * np.pi * rate * tempo * random.uniform(0.93, 1.07) * time + random.uniform(0, 2 * np.pi)
                own = vigour * random.uniform(0.8, 1.25)
                steps = np.stack(
                    [
                        own * sway * np.sin(pace + 0.7),
                        own * sway * np.sin(pace / 2),
                        1 + own * bounce * (np.sin(pace) + second * np.sin(2 * pace + 1)),
                    ],
                    1,
                )
                recordings.append(steps @ worn.T + 0.15 * random.standard_normal(steps.shape))
                labels.append(activity)
                subjects.append(f"s{subject + 1:02}")
    values = np.concatenate(recordings)
    source = "the generated recordings"
    whole = {"activity": np.array(labels), "subject": np.array(subjects)}
    return Recordings(
        source,
        tuple(f"{number:03}" for number in range(1, len(recordings) + 1)),
        np.cumsum([0, *map(len, recordings)]),
        ArrayColumns(source, {name: values[:, axis] for axis, name in enumerate(AXES)}, lambda row, _: f"step [{row}]"),
        ArrayColumns(source, whole, lambda row, _: f"recording {row + 1}"),
        summary=("Generated recordings of activities, acceleration in three axes, 20 values a second",),
    )


def _rotation(first: int, second: int, angle: float) -> NDArray[np.float64]:
    """Return the matrix that turns two of three axes by an angle in radians."""
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix
