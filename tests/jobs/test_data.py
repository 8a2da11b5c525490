"""`zoo.inspect_data` and its report: every number against NumPy's, and what is suspect."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zoo
from tests.plugins import stranger
from zoo.data.dataset import Split
from zoo.data.signature import IGNORED, Scale, Signature
from zoo.jobs import data_columns
from zoo.jobs.data import run_data
from zoo.jobs.data_columns import BINS, PARTS
from zoo.jobs.data_contents import Shares
from zoo.jobs.data_warnings import class_warnings
from zoo.plugins.registry import Registry, load_registry
from zoo.spec.spec import SpecReader, given_document

GRU = {"architecture": {"name": "gru", "hidden_size": 2}}
RANDOM = np.random.default_rng(0)


def spec(task: str) -> dict[str, Any]:
    return {**GRU, "task": {"name": task}}


def numbers(*parts: Any, y: Sequence[Any] | None = None, **signature: Any) -> zoo.Dataset:
    """A data set of arrays (sequences, time, features) for each part, by default with a number to predict."""
    tensors = [torch.as_tensor(np.asarray(part, np.float32)) for part in parts]
    targets = [x[:, -1, :1] for x in tensors] if y is None else [torch.as_tensor(np.asarray(part)) for part in y]
    train, validation, test = (Split(x, part) for x, part in zip(tensors, targets, strict=True))
    fields = {"features": tensors[0].shape[2], "targets": ("y",), **signature}
    return zoo.Dataset(train, validation, test, Signature(**fields), "Numbers.")


def normal(count: int = 300, features: int = 2) -> Any:
    return RANDOM.normal(size=(count, 5, features))


def valid_rows(part: Split) -> Any:
    """All steps that are no padding, in float64."""
    assert part.lengths is not None
    return np.concatenate([row[:steps].double().numpy() for row, steps in zip(part.x, part.lengths, strict=True)])


def warnings_on(data: zoo.Dataset, task: str = "regression") -> str:
    return "\n".join(zoo.inspect_data(spec(task), data=data).warnings)


def test_numbers_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """By chunks of a few sequences, whose padding does not count."""
    monkeypatch.setattr(data_columns, "CHUNK", 40)
    x = [RANDOM.normal(size=(RANDOM.integers(1, 9), 2)) * [1, 50] + [1e3, 0] for _ in range(200)]
    for each in x[::7]:
        each[0, 1] = 0
    data = zoo.Dataset.from_arrays(x, [float(each.sum()) for each in x])
    report = zoo.inspect_data(spec("regression"), data=data)
    rows = {part: valid_rows(getattr(data, part)) for part in PARTS}
    scale = data.signature.input_scale
    assert scale is not None
    for index, column in enumerate(report.features):
        assert (column.name, column.kind, column.constant) == (str(index), "number", False)
        assert (column.offset, column.factor) == (scale.offset[index], scale.factor[index])
        low, high = rows["train"][:, index].min(), rows["train"][:, index].max()
        for part in PARTS:
            values, result = rows[part][:, index], column.parts[part]
            assert (result.count, result.missing) == (len(values), 0)
            assert (result.minimum, result.maximum) == (values.min(), values.max())
            assert [result.mean, result.deviation] == pytest.approx([values.mean(), values.std()], rel=1e-12)
            assert result.zeros == (values == 0).mean()
            assert result.outside == ((values < low) | (values > high)).mean()
            assert result.histogram == tuple(np.histogram(values, column.edges)[0])
    assert report.targets[0].parts["test"].mean == pytest.approx(float(data.test.y.double().mean()))
    for part, lengths in report.lengths.items():
        steps = getattr(data, part).lengths.numpy()
        assert (lengths.shortest, lengths.median, lengths.longest) == (steps.min(), np.median(steps), steps.max())
        assert lengths.histogram == tuple(np.histogram(steps, report.length_edges)[0])


def test_a_histogram_has_every_number() -> None:
    values = np.linspace(0, 1, 2 * BINS * 10).reshape(-1, 10, 1)
    report = zoo.inspect_data(spec("regression"), data=numbers(values, values, values))
    assert report.features[0].parts["train"].histogram == (20,) * BINS


def test_targets_at_each_step_and_missing_ones() -> None:
    y = [RANDOM.normal(size=(20, 5, 1)).astype(np.float32) for _ in PARTS]
    y[0][:, 2] = np.nan
    report = zoo.inspect_data(spec("step_regression"), data=numbers(*(normal(20) for _ in PARTS), y=y, by_step=True))
    train = report.targets[0].parts["train"]
    assert (train.count, train.missing) == (80, 20)
    assert train.mean == pytest.approx(np.nanmean(y[0].astype(float)))
    assert not [line for line in report.warnings if "finite" in line]


def test_categories_are_counted() -> None:
    x = np.zeros((40, 5, 2))
    x[:20, :, 1] = 1
    x[20:, :, 1] = 2
    test = x.copy()
    test[:10, :, 1] = 0
    x[..., 0], test[..., 0] = RANDOM.normal(size=(2, 40, 5))
    report = zoo.inspect_data(spec("regression"), data=numbers(x, x, test, categories=((), ("a", "b"))))
    number, category = report.features
    assert (number.kind, category.kind, category.constant) == ("number", "category", False)
    assert category.categories["a"] == {"train": 100, "validation": 100, "test": 50}
    assert category.unknown == {"train": 0, "validation": 0, "test": 50}
    assert "feature 1 (25%): a category with many unknown values in the test part" in report.warnings


def test_classes_labels_and_tags() -> None:
    x, y = normal(60), np.arange(60) % 3
    report = zoo.inspect_data(spec("classification"), data=zoo.Dataset.from_arrays(x, y))
    assert report.classes is not None
    assert (report.classes.unit, report.classes.totals) == ("sequences", report.sizes)
    assert {name: sum(counts.values()) for name, counts in report.classes.counts.items()} == dict.fromkeys("012", 20)
    assert report.baselines["majority"]["accuracy"] == pytest.approx(1 / 3)
    assert report.targets == ()

    many = np.stack([y == 0, y < 2], 1)
    report = zoo.inspect_data(spec("multilabel"), data=zoo.Dataset.from_arrays(x, many, labels=["a", "b"]))
    assert report.classes is not None
    assert sum(report.classes.counts["b"].values()) == 40
    assert sum(report.classes.totals.values()) == 60

    tags = torch.as_tensor(RANDOM.integers(0, 2, (60, 5)))
    tags[:, 0] = IGNORED
    split = Split(torch.as_tensor(x, dtype=torch.float32), tags)
    data = zoo.Dataset(split, split, split, Signature(features=2, labels=("a", "b"), by_step=True), "")
    report = zoo.inspect_data(spec("tagging"), data=data)
    assert report.classes is not None
    assert report.classes.totals == dict.fromkeys(PARTS, 240)
    assert report.classes.counts["b"]["test"] == int((tags == 1).sum())
    assert report.repeated == {"validation": 60, "test": 60}


def test_tokens_are_counted_without_the_padding() -> None:
    x = torch.tensor([[2, 3, 0], [2, 1, 1]])
    split = Split(x, torch.tensor([0, 1]), torch.tensor([2, 3]))
    signature = Signature(vocabulary=("<pad>", "<unk>", "a", "b"), labels=("p", "q"), lengths=True)
    report = zoo.inspect_data(spec("classification"), data=zoo.Dataset(split, split, split, signature, ""))
    assert report.tokens is not None
    assert {name: counts["test"] for name, counts in report.tokens.counts.items()} == {
        "<pad>": 0,
        "<unk>": 2,
        "a": 2,
        "b": 1,
    }
    assert report.tokens.most_frequent(2) == ["<unk>", "a"]
    assert (
        "tokens: 40% of the test part are unknown words; more texts, or subwords, would leave fewer" in report.warnings
    )
    assert report.features == ()


def test_repeated_sequences_are_counted_where_the_source_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_columns, "CHUNK", 20)
    train, validation, test = normal(30), normal(10), normal(10)
    test[:4] = train[5:9]
    data = numbers(train, validation, test)
    report = zoo.inspect_data(spec("regression"), data=data)
    assert report.repeated == {"validation": 0, "test": 4}
    assert any("4 of 10 test sequences also occur in the training part" in line for line in report.warnings)
    own = replace(data, repeated={"validation": 1, "test": 2})
    assert zoo.inspect_data(spec("regression"), data=own).repeated == {"validation": 1, "test": 2}


def test_tame_data_give_no_warning() -> None:
    assert warnings_on(numbers(normal(), normal(), normal())) == ""
    assert warnings_on(zoo.Dataset.from_arrays(normal(), np.arange(300) % 3), "classification") == ""


def test_what_is_suspect_in_numbers() -> None:
    x, same = normal(), normal()
    x[..., 1] = 3
    assert "feature 1: constant in the training part" in warnings_on(numbers(x, x, same))
    far = normal()
    far[..., 0] += 2
    assert "standard deviations away): different in the test part" in warnings_on(numbers(same, same, far))
    wide = normal()
    wide[..., 1] *= 10
    assert "outside the training part's range): different in the test part" in warnings_on(numbers(same, same, wide))
    seconds = normal()
    seconds[..., 1] = 1.7e9 + 3600 * RANDOM.random((300, 5))
    late = warnings_on(numbers(seconds, seconds, seconds))
    assert "feature 1: without enough digits in float32: subtract an offset" in late
    assert "feature 0" not in late


def shares(train: Sequence[int], test: Sequence[int]) -> Shares:
    counts = {
        chr(97 + index): {"train": own, "validation": own, "test": other}
        for index, (own, other) in enumerate(zip(train, test, strict=True))
    }
    return Shares(counts, {"train": sum(train), "validation": sum(train), "test": sum(test)}, "sequences")


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        ((50, 50), (10, 12), None),
        ((50, 50), (10, 0), "class 'b': missing in the test part"),
        ((950, 50), (95, 5), "class 'a': has 95.0% of the training sequences, 19 times as many as 'b'"),
        ((500, 300, 200, 4), (50, 30, 20, 1), "125 times as many as 'd'"),
        ((500, 500), (900, 100), "classes: the shares in the test part differ from those in the training part"),
        ((5, 5), (4, 1), None),
    ],
    ids=["even", "missing", "majority", "rare", "moved", "moved-by-chance"],
)
def test_what_is_suspect_in_classes(train: Sequence[int], test: Sequence[int], expected: str | None) -> None:
    result = list(class_warnings(shares(train, test)))
    assert len(result) >= 1 if expected else result == []
    assert not expected or any(expected in line for line in result)


def test_windows_over_a_series_share_their_memory() -> None:
    rows = torch.arange(100, dtype=torch.float32)[:, None]
    x, y = rows.unfold(0, 20, 1).transpose(1, 2)[:80], rows[20:]
    split = Split(x, y)
    data = zoo.Dataset(split, split, split, Signature(features=1, targets=("y",)), "")
    assert zoo.inspect_data(spec("regression"), data=data).memory == 100 * 4


def test_large_data_are_not_copied() -> None:
    """In float64 the features alone take 16 MB."""
    x = [RANDOM.random((count, 50, 2), np.float32) for count in (20_000, 10, 10)]
    data = numbers(*x)
    document = given_document({**spec("regression"), "data": {"name": "arrays"}}, ())
    registry = load_registry()
    resolved = SpecReader.of(registry).validate(document)
    data_columns.CHUNK, before = 50_000, data_columns.CHUNK
    tracemalloc.start()
    try:
        run_data(resolved, registry, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        data_columns.CHUNK = before
    assert peak < x[0].nbytes


def test_a_report_is_json() -> None:
    report = zoo.inspect_data("gru")
    values = json.loads(json.dumps(report.to_dict()))
    assert "dataset" not in values
    assert (values["source"], values["task"], values["metric"]) == ("digits", "classification", "accuracy")
    assert values["sizes"] == {"train": 1078, "validation": 359, "test": 360}
    assert values["features"][2]["parts"]["test"]["count"] == 8 * 360
    assert values["classes"]["counts"]["3"]["test"] == 37
    assert report.dataset.signature.labels == tuple("0123456789")
    assert report.picture().png.startswith(b"\x89PNG")


def test_a_plugin_of_others() -> None:
    """Nothing is needed from a source but its data set."""
    registry = load_registry()
    own = Registry(
        architectures=registry.architectures,
        data={"waves": stranger.Waves},
        tasks=registry.tasks | {"sign": stranger.Sign},
        exporters=registry.exporters,
    )
    fields = {**GRU, "data": {"name": "waves"}, "task": {"name": "sign"}}
    report = run_data(SpecReader.of(own).validate(given_document(fields, ())), own)
    assert report.source == "waves"
    assert report.classes is not None
    assert report.baselines == {}


def test_numbers_of_a_plugin_that_are_not_finite(tmp_path: Path) -> None:
    """A source should refuse them; a look shows where they are."""
    x = torch.as_tensor(normal(30, 3)).float()
    x[0, 0, 0], x[1, 2, 0] = torch.nan, torch.inf
    x[..., 1] = torch.nan
    split = Split(x, torch.arange(30) % 2)
    fields = {**spec("classification"), "data": {"name": "arrays"}}
    registry = load_registry()
    resolved = SpecReader.of(registry).validate(given_document(fields, ()))
    data = zoo.Dataset(split, split, split, Signature(features=3, labels=("a", "b")), "")
    report = run_data(resolved, registry, data)
    assert "features 0, 1: not finite at a step; replace such values" in report.warnings
    first, second, third = (column.parts["train"] for column in report.features)
    values = x[..., 0][x[..., 0].isfinite()].double()
    assert (first.count, first.missing, first.maximum) == (148, 2, float(values.max()))
    assert [first.mean, first.deviation] == pytest.approx([float(values.mean()), float(values.std(correction=0))])
    assert (second.count, second.missing, sum(second.histogram)) == (0, 150, 0)
    assert np.isnan(second.mean)
    assert third.missing == 0
    assert report.draw(tmp_path / "picture.png").is_file()


def test_errors_name_their_place() -> None:
    with pytest.raises(zoo.SpecError, match=r"task.name: 'regression' predicts numbers for each sequence"):
        zoo.inspect_data("gru", {"task.name": "regression"})
    with pytest.raises(zoo.UsageError, match=r"data: expected a zoo\.Dataset"):
        zoo.inspect_data(spec("regression"), data=[1])  # type: ignore[arg-type]
    with pytest.raises(zoo.DataError, match="'arrays' stands for arrays"):
        zoo.inspect_data({**spec("regression"), "data": {"name": "arrays"}})
    scale = Scale((0.0, 0.0), (1.0, 1.0))
    broken = numbers(normal(), normal(), np.full((3, 5, 2), np.nan), input_scale=scale)
    with pytest.raises(zoo.DataError, match=r"data.test.x: has numbers that are not finite"):
        zoo.inspect_data(spec("regression"), data=broken)
