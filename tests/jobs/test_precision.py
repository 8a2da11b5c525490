"""Lower precisions: the rule of parity, and the comparison of a file with the float32 file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.support.command import run_zoo
from tests.support.models import draw, make_model, sequences
from tests.support.runs import build_run
from zoo.cli.export import PRECISIONS as FLAGS
from zoo.exporting.exporter import SHORT
from zoo.jobs.precision import verdict
from zoo.parity import ALL_PRECISIONS, PRECISIONS, WEIGHT_FORMATS, Expected, compare, with_weights
from zoo.proof.golden_oracle import golden
from zoo.runtime import OnnxModel
from zoo.runtime.golden import PRECISION, Golden
from zoo_onnx.precision.int8 import STEPS


def test_the_constants_of_the_formats() -> None:
    """They equal those of NumPy and ml_dtypes; int8 has 127 steps up to the largest value, or 255 over the range."""
    for name, dtype in (("float16", np.float16), ("bfloat16", ml_dtypes.bfloat16)):
        format_ = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
        assert 2 * WEIGHT_FORMATS[name].unit_roundoff == float(format_.eps)
        assert WEIGHT_FORMATS[name].smallest == float(format_.smallest_normal)
        assert WEIGHT_FORMATS[name].unit_roundoff == PRECISIONS[name].unit_roundoff
    assert (WEIGHT_FORMATS["int8"].unit_roundoff, WEIGHT_FORMATS["int8"].range_share) == (0.5 / STEPS, 0.5 / 255)


def test_the_names_of_precisions_in_commands() -> None:
    assert {flag: kept for flag, kept in FLAGS.items() if flag} == {short: kept for kept, short in SHORT.items()}
    assert set(SHORT) == set(WEIGHT_FORMATS)
    assert with_weights("tf32", "float32") == "tf32"
    assert ALL_PRECISIONS[with_weights("tf32", "int8")].unit_roundoff == PRECISIONS["tf32"].unit_roundoff


@pytest.mark.parametrize("precision", ["tf32", *(with_weights("float32", kept) for kept in WEIGHT_FORMATS)])
@pytest.mark.parametrize(("share", "status"), [(0.124, "passed"), (0.126, "ill-conditioned")])
def test_a_budget_as_large_as_the_output_is_ill_conditioned(precision: str, share: float, status: str) -> None:
    expected = Expected(np.array([[2.0, -1.0]]), np.array([2 * share]), precision)
    result = compare(expected, np.array([[2.0, -1.0]], np.float32))
    assert result.status == status
    if status != "passed":
        assert result.reason == f"at {precision} the budget is as large as the output itself"


def test_the_amplification_counts_the_coarsest_roundings() -> None:
    expected = Expected(np.array([[2.0]]), np.array([2.0**-4]), with_weights("float32", "bfloat16"))
    assert expected.amplification == 8
    assert expected.unit_roundoff == 2.0**-24


@pytest.mark.parametrize("kept", SHORT)
def test_a_golden_output_of_lower_precision(kept: str) -> None:
    """Its metadata contain the sensitivity at its own precision, which is used without scaling."""
    model, sample = make_model("lstm", hidden_size=12), sequences(draw(2, 6))
    example, full = golden(model, sample, None, kept), golden(model, sample)
    loaded = Golden.from_metadata({**example.to_metadata(), PRECISION: kept}, list(example.expected))
    for name, expected in loaded.expected.items():
        assert expected.precision == f"tf32 with {kept} weights"
        assert np.array_equal(expected.sensitivity, example.expected[name].sensitivity)
        assert (expected.sensitivity > 1000 * full.expected[name].sensitivity).all()
    for share, passes in ((0.9, True), (1.1, False)):
        outputs = {n: (e.exact + share * e.budget[0]).astype(np.float32) for n, e in loaded.expected.items()}
        assert (loaded.fault(outputs, "float32") is None) == passes
        assert full.fault(outputs, "float32") is not None
    with pytest.raises(ValueError, match="unknown precision 'int3'"):
        Golden.from_metadata({**example.to_metadata(), PRECISION: "int3"}, list(example.expected))


# --- the verdict in words -------------------------------------------------------------------------------------------


def measured(size: float, ratio: float, accuracy: float | None, ratio_at_32: float = 1.0) -> dict[str, Any]:
    """Return measurements of a file: size and seconds as ratios to float32's, whose accuracy is 0.9."""
    latency = [
        {"provider": "cpu", "batch": batch, "ratio": median, "low": median - 0.01, "high": median + 0.01}
        for batch, median in ((1, ratio), (32, ratio_at_32))
    ]
    metrics = None if accuracy is None else {"float32": {"accuracy": 0.9}, "this": {"accuracy": accuracy}}
    return {"size_ratio": size, "latency": latency, "metrics": metrics}


@pytest.mark.parametrize(
    ("result", "end"),
    [
        (measured(0.3, 0.8, 0.9), "worth it"),
        (measured(0.3, 1.0, 0.9), "worth it for size"),
        (measured(0.3, 1.4, 0.9), "worth it for size only"),
        (measured(0.3, 1.4, 0.9, 0.7), "worth it for size"),
        (measured(0.3, 0.8, 0.88), "not worth it here"),
        (measured(0.3, 0.8, 0.892), "worth it"),
        (measured(0.3, 0.8, 0.95), "worth it"),
        (measured(1.0, 0.8, 0.9), "worth it for speed"),
        (measured(1.2, 1.4, 0.9, 0.7), "not worth it here"),
        (measured(1.0, 1.0, 0.9), "not worth it here"),
        (measured(0.99, 4.5, 0.9), "not worth it here"),
        (measured(0.3, 1.0, None), "worth it for size"),
    ],
)
def test_the_verdict(result: dict[str, Any], end: str) -> None:
    assert verdict(result, "accuracy", {"accuracy": "higher"}).rpartition(": ")[2] == end


def test_the_text_of_a_verdict() -> None:
    assert verdict(measured(0.27, 1.4, 0.893), "accuracy", {"accuracy": "higher"}) == (
        "smaller (0.27x), slower at batch 1 on cpu (1.40x), as fast at batch 32 on cpu (1.00x), accuracy 0.9 -> 0.893: "
        "worth it for size only"
    )


def test_lower_may_be_better() -> None:
    result = measured(0.3, 1.0, None) | {"metrics": {"float32": {"loss": 0.5}, "this": {"loss": 0.51}}}
    assert verdict(result, "loss", {"loss": "lower"}).endswith("loss 0.5 -> 0.51: not worth it here")


def test_a_ratio_with_quartiles_around_1_is_as_fast() -> None:
    result = measured(0.3, 1.2, 0.9)
    result["latency"][0]["low"] = 0.9
    assert "as fast at batch 1 on cpu (1.20x)" in verdict(result, "accuracy", {"accuracy": "higher"})


# --- the commands ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("runs"), "lstm", "architecture.hidden_size=32")


@pytest.fixture(scope="module")
def exported(run: Path) -> str:
    outcome = run_zoo("export", run, "--onnx", "--provider", "cpu", "--precision", "int8")
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.stdout


def test_both_files_are_written_and_proven(run: Path, exported: str) -> None:
    names = {path.name for path in (run / "onnx").iterdir()}
    assert names == {"model.onnx", "parity.json", "model.int8.onnx", "parity.int8.json"}
    full, lower = (json.loads((run / "onnx" / name).read_text()) for name in ("parity.json", "parity.int8.json"))
    assert (full["verdict"], lower["verdict"], lower["precision"]) == ("passed", "passed", "int8")
    assert "precision" not in full
    assert "against_float32" not in full
    sizes = [(run / "onnx" / name).stat().st_size for name in ("model.int8.onnx", "model.onnx")]
    comparison = lower["against_float32"]
    assert set(comparison) == {"size", "size_ratio", "latency", "metrics", "agreement", "verdict"}
    assert comparison["size_ratio"] == pytest.approx(sizes[0] / sizes[1], rel=0.02)  # before the verdict is added
    latency = comparison["latency"]
    assert [(entry["provider"], entry["batch"]) for entry in latency] == [("cpu", 1), ("cpu", 32)]
    assert all(0 < entry["low"] <= entry["ratio"] <= entry["high"] for entry in latency)
    assert comparison["metrics"]["float32"]["accuracy"] == pytest.approx(
        json.loads((run / "config.json").read_text())["validation"]["accuracy"], abs=1e-9
    )
    assert 0.8 < comparison["agreement"] <= 1
    assert f"compared with the float32 file: {comparison['verdict']}\n" in exported
    assert f"  equal labels in {comparison['agreement']:.2%} of the validation part\n" in exported


@pytest.mark.usefixtures("exported")
def test_a_program_loads_the_int8_file(run: Path) -> None:
    model = OnnxModel(run / "onnx" / "model.int8.onnx")
    assert model.metadata["precision"] == "int8"
    full = OnnxModel(run / "onnx" / "model.onnx")
    x = draw(3, 8)
    both = [loaded.run(x)["logits"] for loaded in (model, full)]
    assert 0 < np.abs(both[0] - both[1]).max() < 0.1 * np.abs(both[1]).max()


@pytest.mark.usefixtures("exported")
def test_check_without_the_data_of_the_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof does not need the data; the report gives the reason why predictions are not compared."""

    def missing(*_: object) -> None:
        from zoo.errors import DataError

        raise DataError("data/digits.csv: does not exist")

    monkeypatch.setattr("zoo.data.sources.digits.Digits.load", missing)
    outcome = run_zoo("check", run / "onnx" / "model.int8.onnx", "--provider", "cpu", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    assert (report["verdict"], report["precision"]) == ("passed", "int8")
    comparison = report["against_float32"]
    assert (comparison["missing"], comparison["metrics"]) == ("data/digits.csv: does not exist", None)
    assert "accuracy unknown" in comparison["verdict"]


def test_no_stream_of_lower_precision(run: Path) -> None:
    outcome = run_zoo("export", run, "--onnx", "--precision", "fp16", "--streaming")
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        "error: precision fp16: a file for chunks is written in float32 only; leave streaming or precision out\n"
    )
