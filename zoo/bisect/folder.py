"""The folder that `zoo bisect` writes: a report, the smallest failing piece of the graph with its input, and a script.

==================  ================================================================================================
``report.json``     the report of `zoo.bisect.search.bisect`
``minimal.onnx``    the nodes between the last good values and the first bad one
``inputs.npz``      its inputs, by name
``expected.npz``    ``exact`` (float64) and ``budget``, both in the shape of its output
``reproduce.py``    runs it with NumPy and ONNX Runtime alone, prints the error and exits with 1 while it fails
==================  ================================================================================================
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.bisect.inside import Inspection, JudgedValue
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
    actual, exact, budget = session.run(None, dict(inputs))[0], expected["exact"], expected["budget"]
error = np.nan_to_num(np.abs(actual.astype(np.float64) - exact), nan=np.inf, posinf=np.inf)
error[np.isinf(budget)] = 0  # not judged
print(f"error {error.max():.2e}, {(error / budget).max():.3g} times its budget")
sys.exit(int((error > budget).any()))
"""


def write_folder(
    folder: Path, report: Mapping[str, Any], dissection: Dissection, model: Model, inspection: Inspection
) -> None:
    """Write the folder, in place of an older one; without a bad value it contains the report alone."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    write_json(folder / "report.json", report)
    if (bad := inspection.bad) is None:
        return
    good = [value.probe for value in inspection.good]
    values = {**inspection.inputs, **{probe.output: inspection.outputs[probe.output] for probe in good}}
    inputs = dissection.cut(bad.probe, good, values, folder / "minimal.onnx")
    exact, budget = _expected(model, bad, inspection)
    _save(folder / "inputs.npz", {name: values[name] for name in inputs})
    _save(folder / "expected.npz", {"exact": exact, "budget": budget})
    write_atomically(folder / "reproduce.py", SCRIPT)


def _save(path: Path, arrays: Mapping[str, Array]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **dict(arrays))


def _expected(model: Model, bad: JudgedValue, inspection: Inspection) -> tuple[Array, Array]:
    """Return the exact value and its budget in the layout of the file; the budget is infinite where not judged."""
    expected, probe = bad.expected, bad.probe
    exact = expected.exact.astype(np.float64)
    each = np.where(np.arange(expected.steps) < expected.judged_steps, expected.budget, np.inf)
    by_step = has_steps(model, probe.value)
    budget = np.zeros_like(exact) + (each.reshape(-1, *(1,) * (exact.ndim - 2)) if by_step else each)
    if expected.padding is not None:
        zero = (exact.reshape(*exact.shape[:2], -1) == 0).all(2)  # (batch, time)
        budget[expected.padding & zero] = 0.0
    budget = np.where(np.isfinite(exact), np.maximum(budget, np.finfo(np.float64).tiny), np.inf)
    if reads_backward(model, probe.value):
        exact, budget = exact[:, ::-1], budget[:, ::-1]
    if probe.value.kind == "output" and (lengths := inspection.case.lengths) is not None:  # the padding is unused
        budget[np.arange(budget.shape[1]) >= lengths[:, None]] = np.inf
    if probe.time_major:
        exact, budget = exact.swapaxes(0, 1), budget.swapaxes(0, 1)
    if probe.slot is not None:
        shape = inspection.outputs[probe.output].shape
        whole = np.zeros(shape), np.full(shape, np.inf)
        whole[0][:, probe.slot], whole[1][:, probe.slot] = exact, budget
        exact, budget = whole
    return np.nan_to_num(exact), budget
