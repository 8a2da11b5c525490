"""The rule at lower precisions, and what a file of lower precision is worth."""

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


def test_what_the_formats_are() -> None:
    """As NumPy and ml_dtypes have them; of 8 bits half a step of 127 up to the largest, and of 255 over the range."""
    for name, dtype in (("float16", np.float16), ("bfloat16", ml_dtypes.bfloat16)):
        format_ = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
        assert 2 * WEIGHT_FORMATS[name].unit_roundoff == float(format_.eps)
        assert WEIGHT_FORMATS[name].smallest == float(format_.smallest_normal)
        assert WEIGHT_FORMATS[name].unit_roundoff == PRECISIONS[name].unit_roundoff
    assert (WEIGHT_FORMATS["int8"].unit_roundoff, WEIGHT_FORMATS["int8"].range_share) == (0.5 / STEPS, 0.5 / 255)


def test_the_names_that_commands_have() -> None:
    assert {flag: kept for flag, kept in FLAGS.items() if flag} == {short: kept for kept, short in SHORT.items()}
    assert set(SHORT) == set(WEIGHT_FORMATS)
    assert with_weights("tf32", "float32") == "tf32"
    assert ALL_PRECISIONS[with_weights("tf32", "int8")].unit_roundoff == PRECISIONS["tf32"].unit_roundoff


@pytest.mark.parametrize("precision", ["tf32", *(with_weights("float32", kept) for kept in WEIGHT_FORMATS)])
@pytest.mark.parametrize(("share", "status"), [(0.124, "passed"), (0.126, "ill-conditioned")])
def test_a_budget_as_large_as_the_output_proves_nothing(precision: str, share: float, status: str) -> None:
    expected = Expected(np.array([[2.0, -1.0]]), np.array([2 * share]), precision)
    found = compare(expected, np.array([[2.0, -1.0]], np.float32))
    assert found.status == status
    if status != "passed":
        assert found.reason == f"at {precision} the budget is as large as the output itself"


def test_the_amplification_counts_the_coarsest_roundings() -> None:
    expected = Expected(np.array([[2.0]]), np.array([2.0**-4]), with_weights("float32", "bfloat16"))
    assert expected.amplification == 8
    assert expected.unit_roundoff == 2.0**-24


@pytest.mark.parametrize("kept", SHORT)
def test_a_golden_output_of_lower_precision(kept: str) -> None:
    """It keeps a sensitivity of its own, worked out at that precision, and takes it as it is."""
    model, sample = make_model("lstm", hidden_size=12), sequences(draw(2, 6))
    wanted, full = golden(model, sample, None, kept), golden(model, sample)
    found = Golden.from_metadata({**wanted.to_metadata(), PRECISION: kept}, list(wanted.expected))
    for name, one in found.expected.items():
        assert one.precision == f"tf32 with {kept} weights"
        assert np.array_equal(one.sensitivity, wanted.expected[name].sensitivity)
        assert (one.sensitivity > 1000 * full.expected[name].sensitivity).all()
    for share, passes in ((0.9, True), (1.1, False)):
        answer = {name: (one.exact + share * one.budget[0]).astype(np.float32) for name, one in found.expected.items()}
        assert (found.fault(answer, "float32") is None) == passes
        assert full.fault(answer, "float32") is not None
    with pytest.raises(ValueError, match="unknown precision 'int3'"):
        Golden.from_metadata({**wanted.to_metadata(), PRECISION: "int3"}, list(wanted.expected))


# --- the verdict in words -------------------------------------------------------------------------------------------


def measured(size: float, pace: float, accuracy: float | None, other_pace: float = 1.0) -> dict[str, Any]:
    """A file of a size and a pace at batch 1, in times float32's, with float32 at an accuracy of 0.9."""
    latency = [
        {"provider": "cpu", "batch": batch, "ratio": ratio, "low": ratio - 0.01, "high": ratio + 0.01}
        for batch, ratio in ((1, pace), (32, other_pace))
    ]
    metrics = None if accuracy is None else {"float32": {"accuracy": 0.9}, "this": {"accuracy": accuracy}}
    return {"size_ratio": size, "latency": latency, "metrics": metrics}


@pytest.mark.parametrize(
    ("found", "end"),
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
def test_the_verdict(found: dict[str, Any], end: str) -> None:
    assert verdict(found, "accuracy", {"accuracy": "higher"}).rpartition(": ")[2] == end


def test_what_a_verdict_says() -> None:
    assert verdict(measured(0.27, 1.4, 0.893), "accuracy", {"accuracy": "higher"}) == (
        "smaller (0.27x), slower at batch 1 on cpu (1.40x), as fast at batch 32 on cpu (1.00x), accuracy 0.9 -> 0.893: "
        "worth it for size only"
    )


def test_lower_may_be_better() -> None:
    found = measured(0.3, 1.0, None) | {"metrics": {"float32": {"loss": 0.5}, "this": {"loss": 0.51}}}
    assert verdict(found, "loss", {"loss": "lower"}).endswith("loss 0.5 -> 0.51: not worth it here")


def test_a_ratio_that_may_be_chance_is_none() -> None:
    found = measured(0.3, 1.2, 0.9)
    found["latency"][0]["low"] = 0.9
    assert "as fast at batch 1 on cpu (1.20x)" in verdict(found, "accuracy", {"accuracy": "higher"})


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
    found = lower["against_float32"]
    assert set(found) == {"size", "size_ratio", "latency", "metrics", "agreement", "verdict"}
    assert found["size_ratio"] == pytest.approx(sizes[0] / sizes[1], rel=0.02)  # measured before the verdict is written
    assert [(one["provider"], one["batch"]) for one in found["latency"]] == [("cpu", 1), ("cpu", 32)]
    assert all(0 < one["low"] <= one["ratio"] <= one["high"] for one in found["latency"])
    assert found["metrics"]["float32"]["accuracy"] == pytest.approx(
        json.loads((run / "config.json").read_text())["validation"]["accuracy"], abs=1e-9
    )
    assert 0.8 < found["agreement"] <= 1
    assert f"compared with the float32 file: {found['verdict']}\n" in exported
    assert f"  equal labels in {found['agreement']:.2%} of the validation part\n" in exported


@pytest.mark.usefixtures("exported")
def test_programs_load_it(run: Path) -> None:
    model = OnnxModel(run / "onnx" / "model.int8.onnx")
    assert model.metadata["precision"] == "int8"
    full = OnnxModel(run / "onnx" / "model.onnx")
    x = draw(3, 8)
    both = [one.run(x)["logits"] for one in (model, full)]
    assert 0 < np.abs(both[0] - both[1]).max() < 0.1 * np.abs(both[1]).max()


@pytest.mark.usefixtures("exported")
def test_check_proves_it_again_without_its_data(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's data may be gone: the proof does not need them, and says what is not compared."""

    def gone(*_: object) -> None:
        from zoo.errors import DataError

        raise DataError("data/digits.csv: does not exist")

    monkeypatch.setattr("zoo.data.sources.digits.Digits.load", gone)
    outcome = run_zoo("check", run / "onnx" / "model.int8.onnx", "--provider", "cpu", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    assert (report["verdict"], report["precision"]) == ("passed", "int8")
    found = report["against_float32"]
    assert (found["missing"], found["metrics"]) == ("data/digits.csv: does not exist", None)
    assert "accuracy unknown" in found["verdict"]


def test_no_stream_of_lower_precision(run: Path) -> None:
    outcome = run_zoo("export", run, "--onnx", "--precision", "fp16", "--streaming")
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        "error: --precision fp16: a file for chunks is written in float32 only; leave --streaming or --precision out\n"
    )
