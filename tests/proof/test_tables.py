"""Proof of models of tables: valid ids in every case, each category somewhere, and faults that are found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

import zoo
from tests.support.models import write
from tests.support.table_models import GROUPED, KINDS, SIGNATURE, STORES, make_table_model, table_split
from zoo.bisect.search import bisect, open_suspect
from zoo.parity import Array
from zoo.proof.cases import Case, Extent
from zoo.proof.domain import Domain
from zoo.proof.expectations import Expectations
from zoo.proof.prove import FileProperties, cases_for, prove, prove_against
from zoo.proof.streaming import chunk_cases, prove_streaming
from zoo_onnx import OnnxExporter

SAMPLE = table_split(20, 6)
PADDED = table_split(20, 6, [1 + number % 6 for number in range(20)])
PROPERTIES = FileProperties()


def ids(case: Case) -> Array:
    """Return the ids of both categories, (batch, time, 2)."""
    return case.x[..., 1:3]


@pytest.mark.parametrize("signature", [SIGNATURE, GROUPED], ids=["pooled", "by group"])
@pytest.mark.parametrize("sample", [SAMPLE, PADDED], ids=["equal", "lengths"])
def test_cases_have_valid_ids_and_every_one_of_them(signature: zoo.Signature, sample: zoo.Split) -> None:
    model = make_table_model(signature=signature, takes_lengths=sample.lengths is not None)
    for cases in (cases_for(model, sample, PROPERTIES, extent=Extent(7)), chunk_cases(model, sample, Extent(7))):
        for case in cases:
            assert np.array_equal(ids(case), ids(case).round())
            assert ids(case).min() >= 0
            assert ids(case)[..., 0].max() <= KINDS
            assert ids(case)[..., 1].max() <= STORES
            if signature.group is not None:
                assert (case.x[..., 2] == case.x[:, :1, 2]).all()
        whole = [case for case in cases if case.inputs == "vocabulary"]
        for column, count in ((1, KINDS), (2, STORES)):
            assert {int(each) for case in whole for each in case.x[..., column].flat} == set(range(count + 1))
        numbers = {kind: [case.x[..., [0, 3]] for case in cases if case.inputs == kind] for kind in ("data", "extreme")}
        largest = float(np.abs(sample.x[..., [0, 3]].numpy()).max())
        assert max(float(np.nanmax(np.abs(each))) for each in numbers["data"]) <= largest
        assert max(float(np.nanmax(np.abs(each))) for each in numbers["extreme"]) == pytest.approx(10 * largest)


def test_the_padding_is_nan_beside_ids() -> None:
    model = make_table_model(takes_lengths=True)
    for case in cases_for(model, PADDED, PROPERTIES, extent=Extent(7)):
        assert case.lengths is not None
        beyond = np.arange(case.time) >= case.lengths[:, None]
        assert np.array_equal(np.isnan(case.x[..., 0]), beyond)
        assert np.array_equal(np.isnan(case.x[..., 3]), beyond)


def test_a_table_of_categories_alone_has_no_extremes() -> None:
    signature = zoo.Signature(
        features=2, categories=(("a", "b"), ("c",)), targets=("y",), target_scale=zoo.Scale((0.0,), (1.0,))
    )
    model, sample = make_table_model(signature=signature), zoo.Split(SAMPLE.x[..., 1:3] % 2, SAMPLE.y)
    assert {case.inputs for case in cases_for(model, sample, PROPERTIES)} == {"data", "wide", "vocabulary"}


def test_groups_of_similar_scale_share_a_batch() -> None:
    domain = Domain.of(make_table_model(signature=GROUPED))
    factors = np.array([row.factor for row in (GROUPED.target_scale, *GROUPED.target_scales) if row])
    assert sorted(domain.groups) == list(range(STORES + 1))
    assert (np.diff(factors.prod(1)[list(domain.groups)]) >= 0).all()


@pytest.mark.parametrize(
    ("kind", "signature", "options"),
    [
        ("lstm", GROUPED, {"horizon": 3}),
        ("gru_after", SIGNATURE, {"takes_lengths": True}),
        ("lstm", GROUPED, {"takes_lengths": True, "pooling": None}),
    ],
    ids=["forecast", "lengths", "by step"],
)
def test_a_table_passes(kind: str, signature: zoo.Signature, options: Any, tmp_path: Path) -> None:
    model = make_table_model(kind, signature, hidden_size=6, **options)
    sample = PADDED if model.takes_lengths else SAMPLE
    report = prove(model, write(model, tmp_path), sample, ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "passed", report["reasons"]


@pytest.mark.parametrize("pooling", [None, "last"])
def test_a_stream_of_a_table_passes(pooling: str | None, tmp_path: Path) -> None:
    model = make_table_model("gru_after", GROUPED, hidden_size=4, pooling=pooling, takes_lengths=True)
    report = prove_streaming(model, write(model, tmp_path, streaming=True), PADDED, ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "passed", report["reasons"]


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "int8"])
def test_a_table_in_lower_precision_passes(precision: str, tmp_path: Path) -> None:
    model = make_table_model("lstm", GROUPED, hidden_size=16)
    path = write(model, tmp_path, precision=precision)
    properties = FileProperties(precision=precision)
    report = prove(model, path, SAMPLE, ["cpu"], [], lambda *_: None, properties=properties)
    assert report["verdict"] == "passed", report["reasons"]


# --- faults ---------------------------------------------------------------------------------------------------------


def change(name: str, row: Any, factor: float) -> Callable[[ModelProto], None]:
    """Return a fault: entries of a weight are multiplied by a factor."""

    def mutate(model: ModelProto) -> None:
        (tensor,) = [each for each in model.graph.initializer if each.name == name]
        array = numpy_helper.to_array(tensor).copy()
        array[row] *= factor
        tensor.CopyFrom(numpy_helper.from_array(array, name))

    return mutate


def exchange(name: str, first: int, second: int) -> Callable[[ModelProto], None]:
    """Return a fault: two entries of a weight are exchanged."""

    def mutate(model: ModelProto) -> None:
        (tensor,) = [each for each in model.graph.initializer if each.name == name]
        array = numpy_helper.to_array(tensor).copy()
        array[[first, second]] = array[[second, first]]
        tensor.CopyFrom(numpy_helper.from_array(array, name))

    return mutate


FAULTS = {
    "vector of the unknown category": change("encoder/feature_2/table", 0, 1.01),
    "vector of one category": change("encoder/feature_2/table", 7, 1.01),
    "two categories exchanged": exchange("encoder/feature_1/table", 1, 2),
    "the unknown and a category exchanged": exchange("encoder/feature_1/table", 0, 3),
    "two columns exchanged": exchange("encoder/categories/places", 0, 1),
    "scale of the smallest group": change("readout/factor", (1, 0), 1.0001),
    "scale of unknown groups": change("readout/factor", (0, 1), 1.0001),
    "shift of one group": change("readout/offset", (2, 0), 1.001),
    "mean of one group": change("encoder/mean", (9, 0), 1.001),
    "deviation of unknown groups": change("encoder/std", (0, 1), 1.001),
}


@pytest.fixture(scope="module")
def expectations(tmp_path_factory: pytest.TempPathFactory) -> Expectations:
    """Return what is expected of a good file, which passes."""
    model = make_table_model("lstm", GROUPED, hidden_size=6)
    own = Expectations(model, cases_for(model, SAMPLE, PROPERTIES, extent=Extent(0)))
    path = write(model, tmp_path_factory.mktemp("good"))
    assert prove_against(own, path, PROPERTIES, ["cpu"], [])["verdict"] == "passed"
    return own


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault: str, expectations: Expectations, tmp_path: Path) -> None:
    path = write(expectations.model, tmp_path)
    model = onnx.load(path)
    FAULTS[fault](model)
    onnx.save(model, path)
    assert prove_against(expectations, path, PROPERTIES, ["cpu"], [])["verdict"] == "failed"


def test_bisect_names_the_table_of_a_category(tmp_path: Path) -> None:
    model = make_table_model("lstm", GROUPED, hidden_size=6, takes_lengths=True)
    path = write(model, tmp_path)
    file = onnx.load(path)
    FAULTS["vector of one category"](file)
    onnx.save(file, path)
    suspect = open_suspect(path, model, OnnxExporter(), PADDED, lambda *_: None, extent=Extent(0))
    report = bisect(suspect, tmp_path / "bisect", lambda *_: None)
    assert report["verdict"] == "failed"
    assert "encoder/feature_2/embedding" in str(report), report
