"""Points of the matrix: the settings of a cell, and the sample of them that is proven."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice, product
from typing import Any, Literal, Self, cast

import numpy as np
import torch
from torch import nn

from zoo.data.signature import Scale
from zoo.errors import PluginError, UsageError
from zoo.exporting.exporter import Lowering
from zoo.matrix.covering import Pair, cover
from zoo.matrix.fits import check_features, impossible_settings, one_line
from zoo.matrix.weights import amplify, number_gates
from zoo.nn.cell import CellConfig
from zoo.nn.encoder import Normaliser
from zoo.nn.model import Model
from zoo.nn.readout import SoftmaxReadout
from zoo.nn.recurrent import REVERSED, Direction, Layer, Stack, StackConfig
from zoo.parity import Array
from zoo.proof.cases import SHAPES as PROVEN_SHAPES
from zoo.proof.cases import Case, LengthsKind, are_possible, draw_lengths, draw_states, fill_padding

FEATURES, CLASSES, HIDDEN_SIZE = 3, 4, 8
MEANS, DEVIATIONS = (4.0, -1.0, 0.5), (2.0, 0.5, 3.0)
"""Of the features, in the user's units; repeated where there are more than three."""

Weights = Literal["gain 1", "gain 3", "gates"]
"""Weights of a model: as drawn; the recurrent ones times `zoo.matrix.weights.GAIN`; a number for each gate block."""

REFUSED_OPSET = 17
"""Opset for which the export of a cell as a Scan must be refused, since torch.onnx starts at 18."""
OPSETS = (20, REFUSED_OPSET, 22)
LAYERS = (1, 3)
LENGTHS: tuple[LengthsKind, ...] = ("none", "equal", "mixed", "unsorted", "short")
SHAPES = (*sorted(PROVEN_SHAPES, key=lambda shape: shape[1]), (16, 512))
"""(batch, time), those with few steps first, since exact results take time for each step."""
QUICK_STEPS = 28
"""Largest number of steps in a quick sample, which also omits all opsets but the first and the newest."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A cell with its options, for which the matrix is proven."""

    name: str
    layer: type[Layer]
    config: StackConfig
    lowering: Lowering
    features: int = FEATURES
    """Width of its input."""
    impossible: Mapping[tuple[Direction, int], str] = field(default_factory=dict)
    """Directions and numbers of layers that the cell does not support, with the errors that it raises there."""

    @classmethod
    def of(
        cls,
        name: str,
        layer: type[Layer],
        config: type[StackConfig],
        options: Mapping[str, Any],
        *,
        lowering: Lowering | None = None,
        hidden_size: int = HIDDEN_SIZE,
        features: int = FEATURES,
    ) -> Self:
        """Return a subject from the options of an architecture, at a small size.

        Args:
            name: its name in reports.
            layer: the class of its layers.
            config: the class of its options.
            options: those in a spec. Where the cell rejects ``hidden_size``, the size among them is used.
            lowering: when None, ``native`` for a cell that names an operator and ``scan`` for any other.
            hidden_size: the small size.
            features: width of its input.

        Raises:
            UsageError: where the options do not make a layer, or it does not run on so many features.
        """
        sizes = [hidden_size, *([options["hidden_size"]] if "hidden_size" in options else [])]
        for size in sizes:
            try:
                made = config.model_validate({**options, "hidden_size": size})
                check_features(name, layer, made, features, size)
                cells = layer(features, made).directed_cells
                break
            except (UsageError, PluginError):
                raise
            except Exception as error:  # a cell may raise any exception
                if size is sizes[-1]:
                    raise UsageError(
                        f"{name}: {one_line(error)}; the matrix gives it {features} features and hidden_size {size}: "
                        "change them with --features N and --set architecture.hidden_size=N, its own options with --set"
                    ) from error
        native = all(cell.operator() is not None for cell in cells)
        directions: Sequence[Direction] = list(REVERSED) if layer.fixed_direction is None else [layer.fixed_direction]
        unsupported = impossible_settings(layer, made, features, directions, LAYERS)
        return cls(name, layer, made, lowering or ("native" if native else "scan"), features, unsupported)

    @property
    def scale(self) -> Scale:
        """Normalisation of its features, from the user's units to the model's."""
        offset, factor = (tuple(islice(cycle(values), self.features)) for values in (MEANS, DEVIATIONS))
        return Scale(offset, factor)

    def choices(self, newest: int) -> Mapping[str, tuple[Any, ...]]:
        """Return the values of the dimensions that depend on the cell; ``newest`` is the newest opset."""
        fixed = self.layer.fixed_direction
        opsets = dict.fromkeys(opset for opset in (*OPSETS, newest) if opset <= newest)
        return {
            "direction": tuple(REVERSED) if fixed is None else (fixed,),
            "bias": (True, False) if "bias" in type(self.config).model_fields else (None,),
            "opset": tuple(opset for opset in opsets if self.lowering == "native" or opset != REFUSED_OPSET),
        }


@dataclass(frozen=True)
class Variant:
    """Settings that determine a model."""

    subject: Subject
    direction: Direction
    layers: int
    bias: bool | None
    """None where the cell has no option ``bias``."""
    states: bool
    """Whether the file takes initial states."""
    weights: Weights
    takes_lengths: bool

    def model(self) -> Model:
        """Return the model, float32 in inference mode; it scores every step where states are given, else the last."""
        config = self.subject.config
        varied = {"num_layers": self.layers, "direction": self.direction, "bias": self.bias}
        options = config.model_dump() | {
            key: value for key, value in varied.items() if key in type(config).model_fields
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            stack = Stack(self.subject.layer, self.subject.features, type(config).model_validate(options))
            head = nn.Linear(stack.output_size, CLASSES)
        if self.weights == "gain 3":
            amplify(stack)
        if self.weights == "gates":
            number_gates(stack, cast("CellConfig", config).hidden_size)
        encoder, pooling = Normaliser(self.subject.scale), None if self.states else "last"
        return Model(
            encoder,
            stack,
            cast("Literal['last'] | None", pooling),
            head,
            SoftmaxReadout(),
            takes_lengths=self.takes_lengths,
        ).eval()

    def draw(self, shape: tuple[int, int], generator: np.random.Generator) -> Array:
        """Draw an input of a shape (batch, time); returns (batch, time, features)."""
        offset, factor = self.subject.scale.offset, self.subject.scale.factor
        return generator.normal(offset, factor, (*shape, self.subject.features)).astype(np.float32)

    def case(self, model: Model, lengths: LengthsKind, shape: tuple[int, int]) -> Case:
        """Draw a case of a shape (batch, time), with NaN beyond the lengths, and random states where they are given."""
        x = self.draw(shape, generator := np.random.default_rng(shape))
        drawn = draw_lengths(lengths, *shape)
        if drawn is not None:
            fill_padding(x, drawn)
        case = Case(*shape, "data", x, drawn)
        if not self.states:
            return case
        case = replace(case, states={})
        return replace(case, states=draw_states(model, case, generator))

    def with_other_input(self, case: Case) -> Case:
        """Return the case with another input; its lengths and states stay."""
        x = self.draw((case.batch, case.time), np.random.default_rng((case.batch, case.time, 1)))
        if case.lengths is not None:
            fill_padding(x, case.lengths)
        return replace(case, x=x)


@dataclass(frozen=True)
class Point:
    """One entry of the matrix: a model, an opset and the kind of its inputs."""

    variant: Variant
    lengths: LengthsKind
    opset: int
    shape: tuple[int, int] | None
    """(batch, time); None where the export must be refused."""

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as they appear in a report."""
        batch, time = self.shape or (None, None)
        return {
            "cell": self.variant.subject.name,
            "direction": self.variant.direction,
            "layers": self.variant.layers,
            "bias": self.variant.bias,
            "states": "given" if self.variant.states else "none",
            "lengths": self.lengths,
            "weights": self.variant.weights,
            "opset": self.opset,
            "batch": batch,
            "time": time,
        }


def draw_points(subjects: Sequence[Subject], newest: int, *, full: bool, quick: bool = False) -> list[Point]:
    """Return the points of the whole matrix, or of a sample that contains each pair of values of two dimensions.

    Args:
        subjects: the cells; in a sample they are a dimension like the others.
        newest: the newest opset that the exporter writes.
        full: whether to return the whole matrix.
        quick: whether to omit long inputs, and all opsets but the first and the newest.
    """
    choices = {subject: subject.choices(newest) for subject in subjects}
    dimensions: dict[str, Sequence[Any]] = {
        "subject": subjects,
        "direction": _union(choices, "direction"),
        "layers": LAYERS,
        "bias": _union(choices, "bias"),
        "states": (False, True),
        "lengths": LENGTHS,
        "weights": ("gain 1", "gain 3", "gates"),
        "opset": _union(choices, "opset"),
        "shape": SHAPES,
    }
    if quick:
        opsets, shapes = dimensions["opset"], [shape for shape in SHAPES if shape[1] <= QUICK_STEPS]
        dimensions |= {"opset": list(dict.fromkeys((opsets[0], opsets[-1]))), "shape": shapes}
    names, values = list(dimensions), list(dimensions.values())

    def allowed(pair: Pair) -> bool:
        dimension, index, later, later_index = pair
        first, second = values[dimension][index], values[later][later_index]
        if names[dimension] == "subject":
            return second in choices[first].get(names[later], (second,))
        if (names[dimension], names[later]) == ("direction", "layers"):
            return any((first, second) not in subject.impossible for subject in subjects)
        return (names[dimension], names[later]) != ("lengths", "shape") or are_possible(first, *second)

    if full:
        rows = [
            row
            for subject in subjects
            for row in product(*({**dimensions, "subject": (subject,), **choices[subject]}.values()))
            if are_possible(row[names.index("lengths")], *row[names.index("shape")])
        ]
    else:
        indices = cover([len(each) for each in values], allowed)
        rows = [tuple(each[index] for each, index in zip(values, row, strict=True)) for row in indices]
    settings = [dict(zip(names, row, strict=True)) for row in rows]
    points = [_point(row) for row in settings if (row["direction"], row["layers"]) not in row["subject"].impossible]
    return [*points, *_refusals(points, full=full)]


def left_out(subject: Subject, newest: int, *, quick: bool) -> list[str]:
    """Return a line for each omission of a cell's matrix: unsupported settings, and those that a quick sample omits."""
    lines = [
        f"{direction}, {layers} layer{'s' if layers > 1 else ''}: {reason}"
        for (direction, layers), reason in subject.impossible.items()
    ]
    if quick:
        shapes = [f"{batch} x {time}" for batch, time in SHAPES if time > QUICK_STEPS]
        opsets = subject.choices(newest)["opset"][1:-1]
        lines += [f"batch x steps {', '.join(shapes)}"]
        lines += [f"opset {', '.join(map(str, opsets))}"] if opsets else []
    return lines


def _union(choices: Mapping[Subject, Mapping[str, tuple[Any, ...]]], name: str) -> list[Any]:
    return list(dict.fromkeys(value for each in choices.values() for value in each[name]))


def _point(row: Mapping[str, Any]) -> Point:
    parts = {name: row[name] for name in ("subject", "direction", "layers", "bias", "states", "weights")}
    return Point(Variant(**parts, takes_lengths=row["lengths"] != "none"), row["lengths"], row["opset"], row["shape"])


def _refusals(points: Sequence[Point], *, full: bool) -> Iterator[Point]:
    """Yield points whose export as a Scan must be refused: one for each model, or for each cell in a sample."""
    done = set()
    for point in points:
        key = point.variant if full else point.variant.subject
        if point.variant.subject.lowering != "native" and key not in done:
            done.add(key)
            yield Point(point.variant, point.lengths, REFUSED_OPSET, None)
