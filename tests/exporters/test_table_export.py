"""Tables in ONNX: categories and scales by group, with every lowering, in streams and in lower precisions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

import zoo
from tests.exporters.agreement import assert_agrees
from tests.support.models import write
from tests.support.table_models import GROUPED, SIGNATURE, draw_table, make_table_model
from zoo.runtime.session import OnnxSession
from zoo.runtime.streaming import OnnxStream
from zoo.tasks.number_loss import RegressionConfig, make_loss

X = draw_table(20, 8).numpy()


@pytest.mark.parametrize("signature", [SIGNATURE, GROUPED], ids=["pooled", "by group"])
@pytest.mark.parametrize(
    ("kind", "options", "model_options"),
    [
        ("lstm", {}, {"horizon": 3}),
        ("gru_before", {"opset": 17}, {"pooling": None, "takes_lengths": True}),
        ("gru_after", {"lowering": "scan"}, {"direction": "bidirectional", "takes_lengths": True}),
        ("rnn_tanh", {"lowering": "unrolled", "steps": 12}, {"pooling": "mean"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_agrees(kind: str, options: Any, model_options: Any, signature: zoo.Signature, tmp_path: Path) -> None:
    model = make_table_model(kind, signature, **model_options)
    shapes = ((1, 12), (5, 12)) if options.get("steps") else ((1, 1), (5, 12))
    assert_agrees(model, write(model, tmp_path, **options), X, shapes)


@pytest.mark.parametrize("options", [{}, {"horizon": 2}, {"pooling": None, "takes_lengths": True}])
@pytest.mark.parametrize("loss", [{"loss": "poisson"}, {"loss": "normal"}, {"quantiles": (0.1, 0.5, 0.9)}])
def test_readouts_by_group_agree(loss: Any, options: Any, tmp_path: Path) -> None:
    assert GROUPED.target_scale is not None
    own = make_loss(RegressionConfig(**loss), GROUPED.target_scale, 1)
    model = make_table_model("lstm", GROUPED, loss=own, **options)
    assert_agrees(model, write(model, tmp_path), X)


@pytest.mark.parametrize("value", [-1.0, 13.0, 1.5, 1e30, np.nan, np.inf])
def test_the_graph_refuses_what_is_no_id(value: float, tmp_path: Path) -> None:
    """Even without the runtime's check, so that no other program takes -1 for the last category."""
    path = write(make_table_model(signature=GROUPED), tmp_path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = X[:2, :3].copy()
    session.run(None, {"x": x})
    x[1, 1, 2] = value
    with pytest.raises(Exception, match="indices element out of data bounds"):
        session.run(None, {"x": x})


def test_the_runtime_names_the_column(tmp_path: Path) -> None:
    path = write(make_table_model(takes_lengths=True), tmp_path)
    model = onnx.load(path)
    model.metadata_props.append(onnx.StringStringEntryProto(key="signature", value=json_of(SIGNATURE)))
    onnx.save(model, path)
    session = OnnxSession(path)
    x = X[:2, :3].copy()
    x[1, 2, 1] = 4
    with pytest.raises(
        zoo.DataError, match=r"sequence \[1\], step \[2\], feature \[1\]: has the value 4, expected.*'kind'"
    ):
        session.run(x)
    x[1, 2] = np.nan
    padded = session.run(x, np.array([3, 2]))
    x[1, 2] = [5, 1, 2, 3]
    assert np.array_equal(padded["y"], session.run(x, np.array([3, 2]))["y"])


def test_a_stream_keeps_the_scale_of_its_group(tmp_path: Path) -> None:
    model = make_table_model("gru_after", GROUPED, pooling=None)
    whole = OnnxSession(write(model, tmp_path)).run(X)["y"]
    stream = OnnxStream(OnnxSession(write(model, tmp_path, streaming=True)))
    pieces = [stream.push(X[:, start:end])["y"] for start, end in ((0, 1), (1, 6), (6, 8))]
    scale = np.array([row.factor for row in GROUPED.target_scales])[X[:, 0, 2].astype(int) - 1]
    assert (np.abs(np.concatenate(pieces, 1) - whole) <= 1e-5 * scale[:, None]).all()


@pytest.mark.parametrize(("precision", "dtype"), [("float16", np.float16), ("bfloat16", ml_dtypes.bfloat16)])
def test_ids_and_scales_stay_whole_in_half_precision(precision: str, dtype: type, tmp_path: Path) -> None:
    """Tables of vectors are in the half format, in which 1 and 0 are exact; the scales of groups are not."""
    graph = ir.load(write(make_table_model(signature=GROUPED), tmp_path, precision=precision)).graph
    kinds = {name: value.const_value.numpy().dtype for name, value in graph.initializers.items() if value.const_value}
    half = {name for name, kind in kinds.items() if kind == np.dtype(dtype)}
    tables = {"encoder/feature_1/table", "encoder/feature_2/table"}
    assert half == {*tables, "layer_0/lstm/W", "layer_0/lstm/R", "head/weight"}
    scales = {"encoder/mean", "encoder/std", "readout/factor", "readout/offset"}
    assert {kinds[name] for name in scales} == {np.dtype(np.float32)}


def test_many_categories_keep_their_ids_in_half_precision(tmp_path: Path) -> None:
    """Ids beyond 256, which bfloat16 rounds, and beyond 2,048, which float16 rounds, select their own row."""
    signature = replace(SIGNATURE, categories=((), ("a", "b", "c"), tuple(map(str, range(5000))), ()))
    model = make_table_model(signature=signature)
    x = X[:1, :1].repeat(3, 0)
    x[:, :, 2] = np.array([4097, 4098, 4096])[:, None]
    full = OnnxSession(write(model, tmp_path)).run(x)["y"]
    assert len({row.tobytes() for row in full}) == 3
    for precision in ("float16", "bfloat16", "int8"):
        rows = OnnxSession(write(model, tmp_path, precision=precision)).run(x)["y"]
        assert len({row.tobytes() for row in rows}) == 3


def json_of(signature: zoo.Signature) -> str:
    """Return a signature as the metadata of a file contain it."""
    return json.dumps(signature.to_dict())
