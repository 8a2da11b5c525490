"""Files of lower precision: their content; correct ones pass, wrong ones fail, and unsuitable models are refused."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
import torch

import zoo
from tests.exporters.eight_bits import TIED, as_int8, cut_off, exact, weights
from tests.support.builders import config_type, layer_type
from tests.support.models import draw, make_model, write
from zoo.exporting.exporter import SHORT
from zoo.parity import with_weights
from zoo.proof.cases import draw_cases
from zoo.proof.disturbed import DisturbedArithmetic
from zoo.proof.expectations import Expectations
from zoo.proof.prove import FileProperties, prove_against
from zoo.runtime.session import OnnxSession
from zoo_onnx import OnnxExporter
from zoo_onnx.dissection.products import multiply
from zoo_onnx.precision.int8 import in_uint8
from zoo_onnx.precision.saturation import may_saturate
from zoo_onnx.precision.weights import weights_of_products

LOWER = tuple(SHORT)
SUBJECTS: dict[str, dict[str, Any]] = {
    "rnn_tanh": {},
    "lstm": {},
    "gru_after": {"direction": "reverse", "pooling": "mean"},
    "lstm both ways": {"direction": "bidirectional", "takes_lengths": True, "pooling": None},
    "mgu": {"takes_lengths": True},
    "layer_norm_lstm": {},
}


@dataclass
class Subject:
    """A model and the expected outputs of its files."""

    model: zoo.Model
    expectations: Expectations


@cache
def subject(name: str) -> Subject:
    model = make_model(name.partition(" ")[0], hidden_size=32, **SUBJECTS[name])
    shapes = ((1, 7), (3, 16))
    cases = draw_cases(draw(8, 28), with_lengths=model.takes_lengths, shapes=shapes)
    return Subject(model, Expectations(model, list(cases)))


def judged(name: str, path: Path, precision: str) -> dict[str, Any]:
    return prove_against(subject(name).expectations, path, FileProperties(precision=precision), ["cpu"], [])


def over_budget(report: dict[str, Any]) -> float:
    largest: float = max(output["over_budget"] for output in report["providers"][0]["outputs"])
    return largest


def array(value: ir.Value) -> np.ndarray[Any, Any]:
    """Return the array of a constant."""
    assert value.const_value is not None
    return value.const_value.numpy()


def nodes(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in ir.traversal.RecursiveGraphIterator(ir.load(path).graph))


@pytest.mark.parametrize("precision", LOWER)
@pytest.mark.parametrize("name", SUBJECTS)
def test_correct_files_pass(name: str, precision: str, tmp_path: Path) -> None:
    """They pass, with errors beyond float32's budget and without a float32 matrix, as lower precision implies."""
    path = write(subject(name).model, tmp_path, precision=precision)
    report = judged(name, path, precision)
    assert report["verdict"] == "passed", report["reasons"]
    assert report["precision"] == precision
    assert report["providers"][0]["precision"] == f"float32 with {precision} weights"
    assert judged(name, path, "float32")["verdict"] == "failed"
    assert OnnxSession(path).metadata["float32_weights"] == "none"


@pytest.mark.parametrize(("name", "precision"), [*(("lstm", precision) for precision in LOWER), ("mgu", "int8")])
@pytest.mark.parametrize("fault", ["gates swapped", "recurrent weights doubled", "head doubled", "a row dropped"])
def test_wrong_files_fail(name: str, precision: str, fault: str, tmp_path: Path) -> None:
    model = copy.deepcopy(subject(name).model)
    weights = dict(model.named_parameters())
    names = ("h2h.weight", "candidate.weight")
    recurrent = next(weight for place, weight in weights.items() if place.endswith(names))
    with torch.no_grad():
        if fault == "gates swapped":
            recurrent.copy_(recurrent.roll(len(recurrent) // 2, 0))
        elif fault == "recurrent weights doubled":
            recurrent.mul_(2)
        elif fault == "head doubled":
            weights["head.weight"].mul_(2)
        else:
            weights["head.weight"][3].zero_()
    report = judged(name, write(model, tmp_path, precision=precision), precision)
    assert report["verdict"] == "failed"
    assert over_budget(report) > 1


@pytest.mark.parametrize("name", ["rnn_tanh", "mgu", "lstm"])
@pytest.mark.parametrize("factor", [1.5, 0.5])
def test_a_wrong_scale_fails(name: str, factor: float, tmp_path: Path) -> None:
    path = write(subject(name).model, tmp_path, precision="int8")
    model = ir.load(path)
    scales = [value for value in model.graph.initializers.values() if "scale" in str(value.name)]
    assert scales
    for value in scales:
        value.const_value = ir.tensor(array(value) * np.float32(factor), name=value.name)
    ir.save(model, path)
    assert judged(name, path, "int8")["verdict"] == "failed"


@pytest.mark.parametrize(("precision", "dtype"), [("float16", np.float16), ("bfloat16", ml_dtypes.bfloat16)])
def test_only_weights_are_stored_in_half(precision: str, dtype: type, tmp_path: Path) -> None:
    """The weights of products and embeddings are in the half format, but no bias, state or normaliser."""
    model = make_model("gru_after", hidden_size=8, encoder=zoo.Embedding(12, 6, 0.0), takes_lengths=True)
    graph = ir.load(write(model, tmp_path, precision=precision)).graph
    half = {name for name, value in graph.initializers.items() if array(value).dtype == np.dtype(dtype)}
    assert half == {"encoder/table", "layer_0/gru/W", "layer_0/gru/R", "head/weight"}
    for node in ir.traversal.RecursiveGraphIterator(graph):
        assert node.op_type == "Cast" or not half & {value.name for value in node.inputs if value is not None}
    table = model.get_parameter("encoder.table.weight").detach().numpy()
    assert np.array_equal(array(graph.initializers["encoder/table"]), table.astype(dtype))


@pytest.mark.parametrize(("precision", "share"), [("float16", 0.6), ("bfloat16", 0.6), ("int8", 0.4)])
def test_files_are_smaller(precision: str, share: float, tmp_path: Path) -> None:
    model = make_model("lstm", hidden_size=64)
    full = write(model, tmp_path).stat().st_size
    assert write(model, tmp_path, precision=precision).stat().st_size < share * full


def test_products_in_eight_bits(tmp_path: Path) -> None:
    """A GRU has three products in its step, of one state that is quantised once, and two outside."""
    gru = nodes(write(make_model("gru_after", hidden_size=32), tmp_path, precision="int8"))
    assert (gru["MatMulInteger"], gru["DynamicQuantizeLinear"], gru["Scan"]) == (5, 3, 1)
    assert not gru["Gemm"] + gru["MatMul"]
    lstm = nodes(write(make_model("lstm", hidden_size=16), tmp_path, precision="int8"))
    assert (lstm["DynamicQuantizeLSTM"], lstm["MatMulInteger"], lstm["LSTM"]) == (1, 1, 0)


def test_unrolled_steps_share_their_weights(tmp_path: Path) -> None:
    options: dict[str, Any] = {"lowering": "unrolled", "steps": 6, "precision": "int8"}
    path = write(make_model("rnn_tanh", hidden_size=64), tmp_path, **options)
    assert nodes(path)["MatMulInteger"] == 1 + 6 + 1
    whole = [value for value in ir.load(path).graph.initializers.values() if value.dtype == ir.DataType.UINT8]
    assert sorted(array(value).shape for value in whole if array(value).ndim) == [(8, 64), (64, 10), (64, 64)]


@pytest.mark.parametrize("kind", ["lstm", "gru_after"])
def test_padding_is_not_part_of_the_range(kind: str, tmp_path: Path) -> None:
    path = write(make_model(kind, hidden_size=32, takes_lengths=True), tmp_path, precision="int8")
    x, lengths = draw(3, 9), np.array([9, 4, 1])
    plain, huge = x.copy(), x.copy()
    for row, length in enumerate(lengths):
        plain[row, length:] = 8.0
        huge[row, length:] = 1e6
    session = OnnxSession(path)
    first, second = session.run(plain, lengths), session.run(huge, lengths)
    assert np.array_equal(first["logits"], second["logits"])


def test_eight_bits_by_column() -> None:
    matrix = np.array([[1.0, 0.0, -3.0], [-0.5, 0.0, 0.1]], np.float32)
    whole, scale = in_uint8(matrix)
    assert whole.tolist() == [[255, 128, 1], [64, 128, 132]]
    assert scale == pytest.approx([1 / 127, 1.0, 3 / 127], rel=1e-6)
    assert (np.abs((whole - 128.0) * scale - matrix) <= np.abs(matrix).max(0) / 254 * (1 + 1e-6)).all()


@pytest.mark.parametrize("name", TIED)
def test_one_weight_for_two_products(name: str, tmp_path: Path) -> None:
    """A shared weight is stored once; its transpose has other columns and scales, and is stored too."""
    config = config_type(TIED[name]).model_validate({"hidden_size": 48})
    torch.manual_seed(0)
    stack, head = zoo.Stack(layer_type(TIED[name]), 8, config), torch.nn.Linear(48, 10)
    model = zoo.Model(make_model("rnn_tanh").encoder, stack, "last", head, zoo.SoftmaxReadout()).eval()
    path = write(model, tmp_path, precision="int8")
    kept = [value for value in ir.load(path).graph.initializers.values() if array(value).shape == (48, 48)]
    assert len(kept) == (1 if name == "weight_twice" else 2)
    expectations = Expectations(model, list(draw_cases(draw(8, 28), shapes=((3, 16),))))
    report = prove_against(expectations, path, FileProperties(precision="int8"), ["cpu"], [])
    assert report["verdict"] == "passed", report["reasons"]


# --- the same on every processor ------------------------------------------------------------------------------------

ANYWHERE: dict[str, dict[str, Any]] = {
    "rnn_tanh": {},
    "lstm": {},
    "gru_after": {},
    "lstm both ways": {"direction": "bidirectional"},
    "mgu": {"direction": "bidirectional"},
    "peephole_lstm": {"num_layers": 2},
}


@pytest.mark.parametrize("name", ANYWHERE)
def test_products_saturate_on_no_processor(name: str, tmp_path: Path) -> None:
    """Checked by arithmetic with the file's own weights and the largest activations, on any machine.

    Two adjacent products with int8 must fit into 16 bits, those with uint8 into 32; a whole sum into 32. Weights from
    -127 to 127 in int8, as in earlier versions, do not pass.
    """
    model = make_model(name.partition(" ")[0], hidden_size=32, **ANYWHERE[name])
    path = write(model, tmp_path, precision="int8")
    assert list(weights(path))
    for node, matrix in weights(path):
        assert fits(matrix), node
        columns = matrix.astype(np.int16).T - 128
        extremes = (np.concatenate([columns >= -128, columns > 0, columns < 0]) * 255).astype(np.uint8)
        assert np.array_equal(cut_off(extremes, matrix), exact(extremes, matrix)), node
    assert not OnnxExporter().faults(path)
    as_int8(path)
    wrong = {node for node, matrix in weights(path) if not fits(matrix)}
    assert wrong == {node for node, _ in weights(path)}
    faults = OnnxExporter().faults(path)
    assert all("saturate on CPUs without VNNI; export it again" in fault for fault in faults)
    assert len(faults) == len(wrong)


def fits(matrix: np.ndarray[Any, Any]) -> bool:
    """Return whether all sums of products of (n, m) with activations from 0 to 255 fit into their format."""
    whole = matrix.astype(np.int64)
    pairs = np.stack([whole[:-1], whole[1:]])
    limits = np.iinfo(np.int32 if matrix.dtype == np.uint8 else np.int16)
    adjacent = 255 * pairs.clip(min=0).sum(0).max() <= limits.max and 255 * pairs.clip(max=0).sum(0).min() >= limits.min
    return bool(adjacent and 255 * np.abs(whole).sum(0).max() <= np.iinfo(np.int32).max)


@pytest.mark.parametrize("largest", [63, 64, 65, 127])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_limit_of_sixteen_bits(largest: int, sign: int) -> None:
    """2 * 255 * 64 = 32,640 fits into 16 bits; larger weights do where adjacent signs differ or one weight is 0."""
    full = np.full((64, 2), sign * largest, np.int8)
    x = np.full((1, 64), 255, np.uint8)
    assert may_saturate(full) == (not fits(full)) == bool((cut_off(x, full) != exact(x, full)).any()) == (largest > 64)
    assert not may_saturate((full * np.array([[1], [-1]] * 32)).astype(np.int8))
    assert not may_saturate((full * np.array([[1], [0]] * 32)).astype(np.int8))
    assert not may_saturate(full.astype(np.uint8))


def test_the_figures_of_the_fault() -> None:
    x, weight = np.full((1, 64), 255, np.uint8), np.full((64, 1), 127, np.int8)
    assert (exact(x, weight).item(), cut_off(x, weight).item()) == (2_072_640, 1_048_544)


@pytest.mark.parametrize("rows", [1, 3, 32])
@pytest.mark.parametrize("terms", [2, 61, 64])
def test_products_with_uint8_are_exact_here(rows: int, terms: int) -> None:
    """ONNX Runtime computes them exactly on this machine, of any kind."""
    generator = np.random.default_rng(terms)
    weight = generator.integers(1, 256, (terms, 37)).astype(np.uint8)
    weight[:, :2] = 255, 1
    for x in (np.full((rows, terms), 255, np.uint8), generator.integers(0, 256, (rows, terms)).astype(np.uint8)):
        assert np.array_equal(multiply(x, weight), exact(x, weight))


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_weight_out_of_range(tmp_path: Path) -> None:
    model = make_model("lstm", hidden_size=8)
    with torch.no_grad():
        dict(model.named_parameters())["head.weight"][0, 0] = 70_000
    with pytest.raises(
        zoo.ExportError, match=r"^head/weight: its largest number, 7e\+04, is out of the range of float16;"
    ):
        write(model, tmp_path, precision="float16")
    write(model, tmp_path, precision="bfloat16")


def test_an_operator_without_eight_bits(tmp_path: Path) -> None:
    with pytest.raises(zoo.ExportError, match="has no GRU in 8 bits, so layer_0/gru would stay float32"):
        write(make_model("gru_after", hidden_size=16), tmp_path, precision="int8", lowering="native")


def test_a_file_that_would_grow(tmp_path: Path) -> None:
    with pytest.raises(zoo.ExportError, match=r"the graph would grow from [\d,]+ to [\d,]+ bytes"):
        write(make_model("rnn_tanh", hidden_size=2), tmp_path, precision="int8")


def test_the_library_is_quiet(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    write(make_model("lstm", hidden_size=16), tmp_path, precision="int8")
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_rearranged_weights_are_detected(tmp_path: Path) -> None:
    """A Scan's gates read parts that are split from the matrix."""
    graph = ir.load(write(make_model("lstm", hidden_size=8), tmp_path, lowering="scan")).graph
    names = {str(value.name).rpartition("cells.0.")[2] for value in weights_of_products(graph)}
    assert names == {"x2h.weight", "h2h.weight", "head/weight"}


# --- the disturbed arithmetic ---------------------------------------------------------------------------------------

WEIGHT = torch.nn.Parameter(torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
DRAWS, BATCH = 3, 6


def errors(precision: str, x: torch.Tensor) -> torch.Tensor:
    """Return the errors of two successive products, (2, draws, rows of a draw, 5)."""
    with torch.no_grad():
        exact = torch.nn.functional.linear(x, WEIGHT)
        with DisturbedArithmetic(with_weights("float32", precision), 0, DRAWS, BATCH):
            disturbed = [torch.nn.functional.linear(x, WEIGHT) for _ in range(2)]
    return torch.stack([product - exact for product in disturbed]).reshape(2, DRAWS, -1, 5)


@pytest.mark.parametrize(("precision", "step"), [("float16", 2.0**-11), ("bfloat16", 2.0**-8)])
def test_the_error_of_a_weight_is_constant(precision: str, step: float) -> None:
    """The error is the same at every step, different in each draw, and of the size of one rounding of each weight."""
    x = torch.eye(4, dtype=torch.float64)[[0, 1] * DRAWS]
    error = errors(precision, x)
    # Only the rounding of float32 differs from step to step.
    assert (error[0] - error[1]).abs().max() < 4 * 2.0**-24 * WEIGHT.detach().abs().max()
    assert (error[0, 0] - error[0, 1]).abs().max() > step / 100
    share = error / (step * WEIGHT.detach().T[[0, 1]])
    assert 0.5 < share.abs().max() < 1.01


def test_the_error_in_eight_bits_is_half_a_step() -> None:
    """The bound is half a step of the column's largest weight, and of the range of the tensor."""
    x = torch.zeros(BATCH, 4, dtype=torch.float64)
    assert errors("int8", x).abs().max() == 0
    x[:, 0] = 1.0
    error = errors("int8", x)
    weights = WEIGHT.detach()
    bound = weights.abs().amax(1) / 254 + weights.abs().sum(1) / 510
    assert (error.abs() < 1.01 * bound).all()
    assert (error.abs() > 0.1 * bound).any()


def test_small_numbers_are_rounded_as_the_format_rounds_them() -> None:
    """Below 2^-14 float16 has steps of 2^-24."""
    small = torch.nn.Parameter(torch.full((5, 4), 2.0**-30, dtype=torch.float64))
    x = torch.eye(4, dtype=torch.float64)[:3]
    with torch.no_grad(), DisturbedArithmetic(with_weights("float32", "float16"), 0):
        error = torch.nn.functional.linear(x, small) - 2.0**-30
    assert 2.0**-27 < error.abs().max() <= 2.0**-25
