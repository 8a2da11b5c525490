"""`zoo.jobs.predict` for recordings: the forms of training, each answer named after its recording."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.data.recording_files import FORMS, load, recordings
from tests.support.files import LABELS, write_verified
from tests.support.models import FEATURES, make_model
from zoo.errors import DataError
from zoo.jobs.evaluate import Recorded, evaluate
from zoo.jobs.predict import predict


@pytest.mark.parametrize("form", ["table", "npz", "folders", "ts"])
def test_recordings_are_predicted_as_they_were_read(form: str, tmp_path: Path) -> None:
    values = recordings(features=FEATURES)
    fields = {**FORMS[form](tmp_path, values), "window": 3}
    fields.pop("inputs", None)
    if form == "table":
        fields["by"] = "who"
    signature = replace(load(**fields).signature, labels=LABELS)
    file = write_verified(make_model("lstm"), tmp_path, signature)
    path = Path(fields["file"] if "file" in fields else fields["folder"])
    _, predictions = predict(file, [path])
    names = {
        "table": [f"{path}[r{number}]" for number in range(12)],
        "npz": [f"{path}[{number}]" for number in range(12)],
        "folders": [str(name) for name in sorted(path.rglob("*.csv"))],
        "ts": [f"{path}:{number}" for number in range(9, 21)],
    }
    assert [prediction.source for prediction in predictions] == names[form]
    np.save(tmp_path / "0.npy", values[0])
    _, (single,) = predict(file, [tmp_path / "0.npy"])
    assert single == replace(predictions[0], source=str(tmp_path / "0.npy"))


@pytest.mark.parametrize("form", ["table", "npz", "folders"])
def test_recordings_with_labels_are_evaluated(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {**FORMS[form](tmp_path, recordings(features=FEATURES)), "window": 3}
    fields.pop("inputs", None)
    if form == "table":
        fields["by"] = "who"
    dataset = load(**fields)
    labels = (*dataset.signature.labels, *LABELS)[: len(LABELS)]
    file = write_verified(make_model("lstm"), tmp_path, replace(dataset.signature, labels=labels))
    path = Path(fields["file"] if "file" in fields else fields["folder"])
    _, predictions = predict(file, [path])
    evaluation = evaluate(file, [path])
    assert isinstance(evaluation, Recorded)
    rows = list(evaluation.rows())
    assert [before for before, _, _ in rows] == [[prediction.source] for prediction in predictions]
    assert [answer for _, answer, _ in rows] == [prediction.answers[0] for prediction in predictions]
    true = [cell for _, _, (cell,) in rows]
    assert sorted(true) == sorted(dataset.signature.labels * 4)
    hits = [answer.label == label for (_, answer, _), label in zip(rows, true, strict=True)]
    assert evaluation.metrics()["model"]["accuracy"] == sum(hits) / len(hits)
    assert evaluation.metrics()["majority"] == {"accuracy": 1 / 3, "balanced_accuracy": 1 / 3}
    if form == "table":
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
        _, piped = predict(file, [Path("-")])
        assert [each.source for each in piped] == [f"standard input[r{number}]" for number in range(12)]
        assert [each.answers for each in piped] == [prediction.answers for prediction in predictions]
        path.write_text(path.read_text().replace("what", "other"))
        with pytest.raises(DataError, match=r"has no column 'what', which data\.label names"):
            evaluate(file, [path])
