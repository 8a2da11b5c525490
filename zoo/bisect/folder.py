"""What `zoo bisect` leaves: the report, the smallest failing piece of the graph with its input, and a script.

==================  ================================================================================================
``report.json``     what was found
``minimal.onnx``    the nodes between the last good values and the first bad one
``inputs.npz``      its inputs, by name
``expected.npz``    ``exact`` (float64) and ``budget``, both in the shape of its output
``reproduce.py``    runs it with NumPy and ONNX Runtime alone, prints the error and leaves with 1 while it fails
==================  ================================================================================================
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.bisect.inside import Seen, View
from zoo.exporting.dissection import Dissection
from zoo.files import write_atomically, write_json
from zoo.nn.model import Model
from zoo.parity import Array
from zoo.proof.trace import has_steps, reads_backward

SCRIPT = """\
import pathlib, sys
import numpy as np, onnxruntime as ort
here, options = pathlib.Path(__file__).parent, ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # the nodes as they are in the file
session = ort.InferenceSession(str(here / "minimal.onnx"), options, providers=["CPUExecutionProvider"])
with np.load(here / "inputs.npz") as inputs, np.load(here / "expected.npz") as expected:
    found, exact, budget = session.run(None, dict(inputs))[0], expected["exact"], expected["budget"]
error = np.nan_to_num(np.abs(found.astype(np.float64) - exact), nan=np.inf, posinf=np.inf)
error[np.isinf(budget)] = 0  # not judged
print(f"error {error.max():.2e}, {(error / budget).max():.3g} times its budget")
sys.exit(int((error > budget).any()))
"""


def write_folder(folder: Path, report: Mapping[str, Any], dissection: Dissection, model: Model, view: View) -> None:
    """Write everything, in place of what an earlier call has left. Without a bad value there is the report alone."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    write_json(folder / "report.json", report)
    if (bad := view.bad) is None:
        return
    good = view.good
    values = {**view.given, **{seen.probe.output: view.gave[seen.probe.output] for seen in good}}
    inputs = dissection.cut(bad.probe, [seen.probe for seen in good], values, folder / "minimal.onnx")
    exact, budget = _expected(model, bad, view)
    _save(folder / "inputs.npz", {name: values[name] for name in inputs})
    _save(folder / "expected.npz", {"exact": exact, "budget": budget})
    write_atomically(folder / "reproduce.py", SCRIPT)


def _save(path: Path, arrays: Mapping[str, Array]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **dict(arrays))


def _expected(model: Model, bad: Seen, view: View) -> tuple[Array, Array]:
    """The exact value and its budget in the layout of the file; infinite where nothing is judged."""
    expected, probe = bad.expected, bad.probe
    exact = expected.exact.astype(np.float64)
    each = np.where(np.arange(expected.steps) < expected.judged_steps, expected.budget, np.inf)
    by_step = has_steps(model, probe.value)
    budget = np.zeros_like(exact) + (each.reshape(-1, *(1,) * (exact.ndim - 2)) if by_step else each)
    if expected.padding is not None:
        budget[expected.padding & _zero(exact)] = 0.0
    budget = np.where(np.isfinite(exact), np.maximum(budget, np.finfo(np.float64).tiny), np.inf)
    if reads_backward(model, probe.value):
        exact, budget = exact[:, ::-1], budget[:, ::-1]
    if probe.value.kind == "output" and (lengths := view.case.lengths) is not None:  # what stands beyond is not used
        budget[np.arange(budget.shape[1]) >= lengths[:, None]] = np.inf
    if probe.time_major:
        exact, budget = exact.swapaxes(0, 1), budget.swapaxes(0, 1)
    if probe.slot is not None:
        shape = view.gave[probe.output].shape
        whole = np.zeros(shape), np.full(shape, np.inf)
        whole[0][:, probe.slot], whole[1][:, probe.slot] = exact, budget
        exact, budget = whole
    return np.nan_to_num(exact), budget


def _zero(exact: Array) -> Array:
    """(batch, time, …) -> (batch, time), true where all is zero."""
    zero: Array = (exact.reshape(*exact.shape[:2], -1) == 0).all(2)
    return zero
