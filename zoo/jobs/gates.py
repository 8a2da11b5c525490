"""Every gate and state of a model over the steps of one sequence, as numbers and as pictures.

The cells run in float32 in their own steps, which give the values their names: gates by `zoo.Cell.watch`, states by
``state_names``.
"""

from __future__ import annotations

import copy
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from zoo.data.inputs import read_inputs
from zoo.data.signature import Signature
from zoo.data.texts import text_ids
from zoo.errors import UsageError
from zoo.exporting.dissection import ModelValue
from zoo.nn.cell_checks import check_cells
from zoo.nn.encoder import encoded_names
from zoo.nn.model import Model
from zoo.nn.recurrent import REVERSED
from zoo.nn.states import state_names
from zoo.nn.watched import watched
from zoo.parity import Array
from zoo.plots.picture import Picture
from zoo.plugins.registry import Registry
from zoo.proof.trace import trace
from zoo.run.lock import locked
from zoo.run.run import Run

CLOSED, OPEN = 0.05, 0.95
"""Magnitudes below which a gate counts as closed, and above which it counts as open; a tanh is saturated there."""


@dataclass(frozen=True)
class Summary:
    """Numbers of one gate or state over all steps and units."""

    mean: float
    min: float
    max: float
    near_zero: float | None
    """Share of values with a magnitude below `CLOSED`; None where values leave [-1, 1]."""
    near_one: float | None
    """Share of values with a magnitude above `OPEN`; None where values leave [-1, 1]."""
    lowest_step: int
    """Step, from 1, at which the mean over the units is lowest."""
    highest_step: int
    """Step, from 1, at which the mean over the units is highest."""


@dataclass(frozen=True)
class Series:
    """One gate or state over time."""

    layer: int
    """Number of the layer, from 0."""
    direction: Literal["forward", "reverse"]
    """Order in which the cell reads the sequence; ``values`` are in the order of time in both."""
    kind: Literal["gate", "state"]
    name: str
    """Name that the cell gives; a state without a name has its number."""
    values: Array
    """(time, n), the dtype that the cell computes; a state is that after the step."""

    @cached_property
    def summary(self) -> Summary:
        """Numbers over all steps and units."""
        values = self.values.astype(np.float64)
        with np.errstate(invalid="ignore"):  # the values of a diverging model may be infinite
            courses, size, mean = values.mean(1), np.abs(values), float(values.mean())
        bounded = bool((size <= 1).all())
        return Summary(
            mean=mean,
            min=float(values.min()),
            max=float(values.max()),
            near_zero=float((size < CLOSED).mean()) if bounded else None,
            near_one=float((size > OPEN).mean()) if bounded else None,
            lowest_step=int(courses.argmin()) + 1,
            highest_step=int(courses.argmax()) + 1,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the summary as values for JSON."""
        fields = {"layer": self.layer, "direction": self.direction, "kind": self.kind, "name": self.name}
        return {**fields, **asdict(self.summary), "values": self.values.tolist()}


@dataclass(frozen=True)
class Gates:
    """Gates and states of a model over the steps of one sequence."""

    source: str
    """Name of the sequence, such as ``sample 0`` or ``x.npy[2]``."""
    tokens: tuple[str, ...]
    """Token of each step; empty for numbers."""
    columns: tuple[str, ...]
    """Names of the columns of ``inputs``; empty for tokens, and where the features have none."""
    inputs: Array
    """(time, n), float32: what the first layer reads, which is the scaled or embedded input."""
    series: list[Series]
    """By layer and direction; in each the gates in the order of the cell's step, then the states."""
    name: str = ""
    """Name of the run; empty for a model without one."""

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.inputs)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as values for JSON."""
        return {
            "name": self.name,
            "source": self.source,
            "steps": self.steps,
            "tokens": list(self.tokens),
            "columns": list(self.columns),
            "inputs": self.inputs.tolist(),
            "series": [series.to_dict() for series in self.series],
        }

    @property
    def places(self) -> list[tuple[int, Literal["forward", "reverse"]]]:
        """Layer and direction of each picture."""
        return list(dict.fromkeys((part.layer, part.direction) for part in self.series))

    def at(self, layer: int, direction: Literal["forward", "reverse"]) -> list[Series]:
        """Return the gates and states of a layer and direction.

        Args:
            layer: number of the layer, from 0.
            direction: order in which the cell reads the sequence.

        Raises:
            UsageError: there are none.
        """
        if (layer, direction) not in self.places:
            places = "; ".join(f"layer {number}, {way}" for number, way in self.places)
            raise UsageError(f"layer {layer}, {direction}: has no gates or states here, which are of {places}")
        return [part for part in self.series if (part.layer, part.direction) == (layer, direction)]

    def picture(
        self, layer: int | None = None, direction: Literal["forward", "reverse"] | None = None, *, dpi: int = 130
    ) -> Picture:
        """Return the picture of a layer and direction, which a notebook shows.

        Args:
            layer: number of the layer, from 0; by default the first that is here.
            direction: order in which the cell reads the sequence; by default the first that is here.
            dpi: pixels an inch.

        Raises:
            UsageError: there is no such layer or direction.
        """
        from zoo.plots.gates import gates_figure  # matplotlib is slow to import
        from zoo.plots.style import rendered

        first, way = next((place for place in self.places if layer in (None, place[0])), self.places[0])
        chosen = self.at(first if layer is None else layer, direction or way)
        return Picture(rendered(gates_figure(self, chosen), dpi))


def run_gates(
    run: Run,
    registry: Registry,
    *,
    file: Path | None = None,
    text: str | None = None,
    row: int = 0,
    layer: int | None = None,
) -> Gates:
    """Return the gates and states of a run's trained model over one sequence.

    Args:
        run: a finished run.
        registry: gives the run's architecture.
        file: file of the sequence, as for ``zoo predict``; None for the run's sample.
        text: text to read in place of a file.
        row: number of the sequence in the file or the sample, from 0.
        layer: number of the only layer to return, from 0; None for all.

    Raises:
        RunError: the run is not finished, or a file of it is missing or was altered.
        UsageError: there is no such row or layer, or a text is given to a model of numbers.
        DataError: the file or the text does not fit the model.
        CellError: the cell breaks the contract of `zoo.Cell`.
    """
    signature = Signature.from_dict(run.config()["signature"])
    source, x = _sequence(run, signature, file, text, row)
    return sequence_gates(run, registry, source, x, layer)


def sequence_gates(run: Run, registry: Registry, source: str, x: Tensor, layer: int | None = None) -> Gates:
    """Return the gates and states of a run's trained model over the steps of a sequence.

    Args:
        run: a finished run.
        registry: gives the run's architecture.
        source: name of the sequence.
        x: (time, features) numbers in the user's units, or (time,) token ids.
        layer: number of the only layer to return, from 0; None for all.

    Raises:
        RunError, UsageError, CellError: see `run_gates`.
    """
    signature = Signature.from_dict(run.config()["signature"])
    _, _, model = run.load(registry)
    layers = model.layers()
    if layer is not None and not 0 <= layer < len(layers):
        raise UsageError(f"layer {layer}: {_expected(str(run.path), len(layers), 'layer')}")
    tokens = tuple(signature.vocabulary[number] for number in x.tolist()) if signature.vocabulary else ()
    inputs, series = gates(model, x)
    chosen = [part for part in series if layer in (None, part.layer)]
    return Gates(source, tokens, encoded_names(model.encoder, signature), inputs, chosen, run.path.resolve().name)


def _sequence(run: Run, signature: Signature, file: Path | None, text: str | None, row: int) -> tuple[str, Tensor]:
    """Return the name and the steps of a sequence; see `run_gates`."""
    if text is not None:
        if not signature.tokenizer:
            raise UsageError("--text: this model takes numbers; give a .npy or .csv file with --input")
        require_row(row, 1, "--text")
        return text, torch.from_numpy(text_ids(text, signature, "--text"))
    if file is not None:
        sequences = list(read_inputs(file, signature))
        require_row(row, len(sequences), str(file))
        source, x = sequences[row]
        return source, torch.from_numpy(x)
    sample = run.sample()
    require_row(row, len(sample), f"the sample of {run.path}")
    length = sample.x.shape[1] if sample.lengths is None else int(sample.lengths[row])
    return f"sample {row}", sample.x[row, :length]


def require_row(row: int, count: int, source: str) -> None:
    """Raise a `UsageError` unless there is a sequence with this number."""
    if not 0 <= row < count:
        raise UsageError(f"row {row}: {_expected(source, count, 'sequence')}")


def _expected(owner: str, count: int, thing: str) -> str:
    """Return the end of a message about a number that is not between 0 and the count."""
    if count == 1:
        return f"expected 0, since {owner} has 1 {thing}"
    return f"expected a number from 0 to {count - 1:,}, since {owner} has {count:,} {thing}s"


def gates(model: Model, x: Tensor) -> tuple[Array, list[Series]]:
    """Return what the first layer reads, and the gates and states of all layers, over the steps of one sequence.

    Args:
        model: the model, which is not changed.
        x: (time, features) numbers in the user's units, or (time,) token ids.

    Returns:
        The encoded input (time, n), and the series; see `Gates`.

    Raises:
        CellError: a cell breaks the contract of `zoo.Cell`.
    """
    check_cells(model.layers())
    own = copy.deepcopy(model).eval()
    for layer in own.layers():
        layer.fused = False
    with ExitStack() as stack, torch.inference_mode():
        recorded = [[stack.enter_context(watched(cell)) for cell in layer.directed_cells] for layer in own.layers()]
        values = trace(own, x[None], None, None)
    series: list[Series] = []
    for number, (layer, records) in enumerate(zip(own.layers(), recorded, strict=True)):
        places = zip(layer.directed_cells, REVERSED[layer.direction], records, strict=True)
        for index, (cell, reverse, record) in enumerate(places):
            direction: Literal["forward", "reverse"] = "reverse" if reverse else "forward"
            for name, calls in record.items():
                read = torch.cat(calls)  # of a batch of 1
                in_time = read.flip(0) if reverse else read
                series.append(Series(number, direction, "gate", name, in_time.numpy()))
            for part, name in enumerate(state_names(number, cell)):
                state = values[ModelValue("state", number, index, part)][0]
                series.append(Series(number, direction, "state", name, state.numpy()))
    return values[ModelValue("encoded")][0].numpy(), series


def draw_gates(run: Run, result: Gates, out: Path | None = None) -> list[Path]:
    """Draw a picture of each layer and direction, and return the files.

    Args:
        run: the run whose folder, while it is locked, gets the pictures if there is no ``out``.
        result: gates and states of the run's model.
        out: PNG file; None for gates.png in the run's folder. With several pictures, layer and direction are added to
            the name: ``gates-0-forward.png``.

    Raises:
        RunError: another process uses the run's folder, or the file cannot be written.
    """
    from zoo.plots.gates import plot_gates  # matplotlib is slow to import

    path, places = out or run.path / "gates.png", result.places
    both = len({direction for _, direction in places}) > 1
    files = []
    with locked(run.path, "zoo gates") if out is None else nullcontext():
        for layer, direction in places:
            ending = f"-{layer}-{direction}" if both else f"-{layer}"
            file = path if len(places) == 1 else path.with_stem(path.stem + ending)
            plot_gates(result, result.at(layer, direction), file)
            files.append(file)
    return files
