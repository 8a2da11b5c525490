"""The data source recordings: every form gives the same sequences; parts, windows, targets and features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from tests.data.common import parts, rewrites_files
from tests.data.recording_files import FORMS, labels, load, recordings, subjects, table, ts_text
from zoo.data.inputs import read_inputs
from zoo.data.recordings.columns import ArrayColumns
from zoo.data.recordings.form import RecordingForm
from zoo.data.recordings.parts import divide_recordings
from zoo.data.recordings.recordings import Recordings
from zoo.data.recordings.windows import window_starts


def sequences(part: zoo.Split) -> list[Any]:
    """Return each sequence of a part without its padding, which must be zero."""
    result = []
    for number, x in enumerate(part.x):
        length = x.shape[0] if part.lengths is None else int(part.lengths[number])
        assert not x[length:].any()
        result.append(x[:length].numpy())
    return result


def read_back(dataset: zoo.Dataset) -> dict[int, tuple[str, list[list[float]]]]:
    """Return the label and the steps of every recording by its number, which is its first feature."""
    result = {}
    for part in parts(dataset):
        for steps, y in zip(sequences(part), part.y.tolist(), strict=True):
            result[int(steps[0, 0])] = dataset.signature.labels[y], steps.tolist()
    return result


def assert_prepared_alike(dataset: zoo.Dataset, path: Path) -> None:
    """Assert that ``zoo predict`` makes the sequences of a file that training made of it."""
    predicted = sorted(steps.tolist() for _, steps in read_inputs(path, dataset.signature))
    assert predicted == sorted(steps.tolist() for part in parts(dataset) for steps in sequences(part))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_recordings(form: str, tmp_path: Path) -> None:
    values = recordings()
    fields = FORMS[form](tmp_path, values)
    dataset = load(**fields)
    expected = {number: (label, values[number].tolist()) for number, label in enumerate(labels())}
    assert read_back(dataset) == expected
    assert dataset.signature.labels == ("run", "sit", "walk")
    assert dataset.signature.lengths
    assert "12 recordings of 3 to 6 steps (median 4)" in dataset.description
    assert "3 classes: run 4, sit 4, walk 4" in dataset.description
    again = load(**fields)
    for part, other in zip(parts(dataset), parts(again), strict=True):
        assert torch.equal(part.x, other.x)
        assert torch.equal(part.y, other.y)
    assert again.signature == dataset.signature
    assert zoo.Signature.from_dict(json.loads(json.dumps(dataset.signature.to_dict()))) == dataset.signature


@pytest.mark.parametrize("form", FORMS)
def test_the_files_of_training_can_be_predicted(form: str, tmp_path: Path) -> None:
    values = recordings()
    fields = FORMS[form](tmp_path, values)
    signature = load(**fields).signature
    path = Path(fields["file"] if "file" in fields else fields["folder"])
    named = dict(read_inputs(path, signature))
    if form == "index":
        (path / "index.csv").unlink()  # the labels are not needed
        assert list(dict(read_inputs(path, signature))) == list(named)
    assert sorted(steps.tolist() for steps in named.values()) == sorted(steps.tolist() for steps in values)
    expected = {
        "table": [f"{path}[r{number}]" for number in range(12)],
        "parquet": [f"{path}[r{number}]" for number in range(12)],
        "folders": [str(file) for file in sorted(path.rglob("*.csv"))],
        "index": [str(file) for file in sorted(path.rglob("*.npy"))],
        "ts": [f"{path}:{number}" for number in range(9, 21)],
    }
    assert list(named) == expected.get(form, [f"{path}[{number}]" for number in range(12)])


def test_scales_are_those_of_the_valid_steps_of_the_training_part(tmp_path: Path) -> None:
    dataset = load(**FORMS["padded"](tmp_path, recordings()))
    steps = np.concatenate(sequences(dataset.train)).astype(float)
    assert dataset.signature.input_scale is not None
    np.testing.assert_allclose(dataset.signature.input_scale.offset, steps.mean(0))
    np.testing.assert_allclose(dataset.signature.input_scale.factor, steps.std(0))


def test_no_subject_is_in_two_parts(tmp_path: Path) -> None:
    fields = FORMS["table"](tmp_path, recordings(24))
    dataset = load(**fields, by="who")
    groups = [{subjects(24)[int(steps[0, 0])] for steps in sequences(part)} for part in parts(dataset)]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert set.union(*groups) == set(subjects(24))
    assert (
        "none with a who of another: train 16 (who: 8), validation 4 (who: 2), test 4 (who: 2)" in dataset.description
    )


def bare(count: int, groups: list[int] | None = None) -> Recordings:
    steps = ArrayColumns("x", {"x0": np.zeros(count)}, lambda row, _: f"x[{row}]")
    whole = None if groups is None else ArrayColumns("x", {"who": np.array(groups)}, lambda row, _: f"x[{row}]")
    return Recordings("x", tuple(map(str, range(count))), np.arange(count + 1), steps, whole)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=10, max_size=60), st.integers(1, 4), st.floats(0.05, 0.4))
def test_parts_of_groups(groups: list[int], kinds: int, share: float) -> None:
    classes = np.array([(number + group) % kinds for number, group in enumerate(groups)])
    if len(set(groups)) < 3:
        with pytest.raises(zoo.DataError, match="expected at least 3"):
            divide_recordings(bare(len(groups), groups), classes, (share, share), by="who")
        return
    try:
        rows = divide_recordings(bare(len(groups), groups), classes, (share, share), by="who")
    except zoo.DataError as error:
        if "in no recording of the training part" not in str(error):
            raise
        return
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(groups)))
    own = [{groups[row] for row in part} for part in rows]
    assert all(own)
    assert sum(map(len, own)) == len(set(groups))
    again = divide_recordings(bare(len(groups), groups), classes, (share, share), by="who")
    assert all(np.array_equal(part, other) for part, other in zip(rows, again, strict=True))


def test_groups_are_stratified_where_they_allow_it() -> None:
    groups = [number // 4 for number in range(80)]
    classes = np.array([0 if group < 14 else 1 for group in groups])  # each group has one class, 14 to 6
    rows = divide_recordings(bare(80, groups), classes, (0.15, 0.15), by="who")
    assert [np.bincount(classes[part], minlength=2).tolist() for part in rows] == [[40, 16], [8, 4], [8, 4]]


def test_a_column_names_the_parts(tmp_path: Path) -> None:
    names = ["train"] * 6 + ["Valid"] * 3 + ["TEST"] * 3
    values = recordings()
    x, lengths = np.concatenate(values), [len(steps) for steps in values]
    np.savez(tmp_path / "a.npz", x=x, lengths=lengths, y=labels(), fold=names)
    dataset = load(file=str(tmp_path / "a.npz"), part="fold")
    numbers = [[int(steps[0, 0]) for steps in sequences(part)] for part in parts(dataset)]
    assert numbers == [[0, 1, 2, 3, 4, 5], [6, 7, 8], [9, 10, 11]]
    np.savez(tmp_path / "a.npz", x=x, lengths=lengths, y=labels(), fold=["train"] * 9 + ["test"] * 3)
    dataset = load(file=str(tmp_path / "a.npz"), part="fold", validation=0.3)
    assert [len(part) for part in parts(dataset)] == [6, 3, 3]
    assert {int(steps[0, 0]) for steps in sequences(dataset.test)} == {9, 10, 11}


def test_an_archive_gives_its_test_part(tmp_path: Path) -> None:
    values = recordings(24)
    (tmp_path / "TRAIN.ts").write_text(ts_text(values[:18], labels(18)))
    (tmp_path / "TEST.ts").write_text(ts_text(values[18:], labels(6)))
    dataset = load(file=str(tmp_path / "TRAIN.ts"), test_file=str(tmp_path / "TEST.ts"))
    assert {int(steps[0, 0]) for steps in sequences(dataset.test)} == set(range(18, 24))
    assert [len(part) for part in parts(dataset)] == [15, 3, 6]


@given(st.integers(1, 200), st.integers(1, 40), st.data())
def test_windows_cover_every_step(length: int, window: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(1, window))
    starts = window_starts(length, window, step)
    if length <= window:
        assert starts.tolist() == [0]
        return
    assert starts[0] == 0
    assert starts[-1] + window == length
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= step).all()
    assert (np.diff(starts)[:-1] == step).all()


def activity(tmp_path: Path, changes: str = "aabbbaabbbb") -> dict[str, Any]:
    """Write recordings whose label changes; return the fields of the source."""
    rows = [f"r{n},{t + 100 * n},{label}" for n in range(9) for t, label in enumerate(changes)]
    (tmp_path / "steps.csv").write_text("\n".join(["id,x,what", *rows, ""]))
    return {"file": str(tmp_path / "steps.csv"), "sequence": "id", "label": "what"}


def targets_of(dataset: zoo.Dataset) -> dict[int, Any]:
    """Return the target of each window of the first recordings by its first step."""
    return {
        int(steps[0, 0]) % 100: y
        for part in parts(dataset)
        for steps, y in zip(sequences(part), part.y.tolist(), strict=True)
    }


def test_a_window_has_the_label_of_most_rows_or_of_its_last(tmp_path: Path) -> None:
    fields = activity(tmp_path)
    majority = load(**fields, label_by="majority", window=5, step=3)
    assert targets_of(majority) == {0: 1, 3: 1, 6: 1}
    last = load(**fields, label_by="last", window=5, step=3)
    assert targets_of(last) == {0: 1, 3: 1, 6: 1}
    assert targets_of(load(**activity(tmp_path, "abaabba"), label_by="last", window=3)) == {0: 0, 3: 1, 4: 0}
    assert targets_of(load(**activity(tmp_path, "abaabba"), label_by="majority", window=3)) == {0: 0, 3: 1, 4: 1}
    assert isinstance(majority.signature.form, RecordingForm)
    assert not majority.signature.form.mean
    assert not majority.signature.by_step


def test_each_step_has_a_label(tmp_path: Path) -> None:
    dataset = load(**activity(tmp_path, "ab" * 4 + "a" + "," * 0), label_by="step", window=4)
    assert dataset.signature.by_step
    assert targets_of(dataset) == {0: [0, 1, 0, 1], 4: [0, 1, 0, 1], 5: [1, 0, 1, 0]}


def test_steps_without_a_label_are_ignored(tmp_path: Path) -> None:
    fields = activity(tmp_path, ["a", "", "b", "a", "b"])  # type: ignore[arg-type]
    dataset = load(**fields, label_by="step")
    assert targets_of(dataset) == {0: [0, zoo.IGNORED, 1, 0, 1]}


def test_numbers_for_each_recording(tmp_path: Path) -> None:
    values = recordings()
    y = np.arange(12) / 4
    np.savez(tmp_path / "a.npz", x=np.concatenate(values), lengths=[len(steps) for steps in values], y=y)
    dataset = load(file=str(tmp_path / "a.npz"))
    assert dataset.signature.targets == ("y",)
    for part in parts(dataset):
        assert part.y.dtype == torch.float32
        assert part.y[:, 0].tolist() == [steps[0, 0] / 4 for steps in sequences(part)]
    y = np.stack([y, -y], 1)
    np.savez(tmp_path / "a.npz", x=np.concatenate(values), lengths=[len(steps) for steps in values], y=y)
    dataset = load(file=str(tmp_path / "a.npz"), target_scaling="none")
    assert dataset.signature.targets == ("y0", "y1")
    assert dataset.signature.target_scale is None
    assert torch.equal(dataset.test.y[:, 0], -dataset.test.y[:, 1])


def test_static_features_repeat(tmp_path: Path) -> None:
    fields = FORMS["index"](tmp_path, recordings())
    dataset = load(**fields, static=("age",))
    assert dataset.signature.columns == ("x0", "x1", "age")
    for part in parts(dataset):
        for steps in sequences(part):
            assert (steps[:, 2] == steps[0, 0] / 4).all()
    assert_prepared_alike(dataset, Path(fields["folder"]))


def test_categories_are_learnt_from_the_training_part(tmp_path: Path) -> None:
    values = recordings(features=1)
    rows = [
        f"r{number},{label},{step[0]},{('red', 'blue')[number % 2] if number < 11 else 'never'},{number % 3}"
        for number, (label, steps) in enumerate(zip(labels(), values, strict=True))
        for step in steps
    ]
    (tmp_path / "all.csv").write_text("\n".join(["id,what,x,colour,kind", *rows, ""]))
    names = ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
    index = [f"r{number},{name}" for number, name in enumerate(names)]
    (tmp_path / "parts.csv").write_text("\n".join(["id,part", *index, ""]))
    fields = {"file": str(tmp_path / "all.csv"), "index": str(tmp_path / "parts.csv"), "sequence": "id"}
    dataset = load(**fields, label="what", part="part", categories=("kind",))
    assert dataset.signature.columns == ("x", "colour", "kind")
    assert dataset.signature.categories == ((), ("blue", "red"), ("0", "1", "2"))
    for part in parts(dataset):
        for steps in sequences(part):
            number = int(steps[0, 0])
            assert (steps[:, 1] == (0 if number == 11 else 2 - number % 2)).all()
            assert (steps[:, 2] == 1 + number % 3).all()
    assert dataset.signature.input_scale is not None
    assert dataset.signature.input_scale.offset[1:] == (0, 0)
    assert dataset.signature.input_scale.factor[1:] == (1, 1)
    assert_prepared_alike(dataset, tmp_path / "all.csv")


GAPS = {
    "previous": [1, 1, 1, 4],
    "interpolate": [1, 2, 3, 4],
    "mask": [1, 1, 1, 4],
}


@pytest.mark.parametrize("missing", GAPS)
def test_gaps(missing: str, tmp_path: Path) -> None:
    rows = [f"r{number},{what},{cell}" for number, what in enumerate(labels()) for cell in ("1", "", "NA", "4")]
    (tmp_path / "all.csv").write_text("\n".join(["id,what,x", *rows, ""]))
    dataset = load(file=str(tmp_path / "all.csv"), sequence="id", label="what", missing=missing)
    expected = torch.tensor(GAPS[missing]).float()[:, None]
    if missing == "mask":
        assert dataset.signature.columns == ("x", "x missing")
        expected = torch.cat([expected, torch.tensor([[0.0], [1], [1], [0]])], 1)
    assert (dataset.train.x == expected).all()
    assert_prepared_alike(dataset, tmp_path / "all.csv")


def test_a_gap_never_takes_a_value_of_another_recording(tmp_path: Path) -> None:
    rows = [f"r{number},{what},{cell}" for number, what in enumerate(labels()) for cell in ("", "6", "8")]
    (tmp_path / "all.csv").write_text("\n".join(["id,what,x", *rows, ""]))
    dataset = load(file=str(tmp_path / "all.csv"), sequence="id", label="what", missing="mask")
    assert (dataset.train.x[:, :, 0] == torch.tensor([7.0, 6, 8])).all()  # the mean, not the 8 before
    assert_prepared_alike(dataset, tmp_path / "all.csv")


def test_order_sorts_the_rows(tmp_path: Path) -> None:
    values = recordings()
    lines = [line + f",{number}" for number, line in enumerate(table(values).splitlines()[1:])]
    random = np.random.RandomState(0).permutation(len(lines))
    (tmp_path / "all.csv").write_text("\n".join(["id,who,what,x0,x1,tick", *(lines[row] for row in random), ""]))
    dataset = load(file=str(tmp_path / "all.csv"), sequence="id", label="what", order="tick", by="who")
    assert read_back(dataset) == {n: (label, values[n].tolist()) for n, label in enumerate(labels())}
    assert_prepared_alike(dataset, tmp_path / "all.csv")


def test_numbers_that_float32_would_merge_lose_their_start(tmp_path: Path) -> None:
    rows = [f"r{n},{what},{1.7e9 + n + t / 4}" for n, what in enumerate(labels()) for t in range(3)]
    (tmp_path / "all.csv").write_text("\n".join(["id,what,clock", *rows, ""]))
    dataset = load(file=str(tmp_path / "all.csv"), sequence="id", label="what")
    (name,) = dataset.signature.columns
    assert name.startswith("clock-17000000")
    assert torch.unique(torch.diff(dataset.train.x[:, :, 0])).tolist() == [0.25]
    assert_prepared_alike(dataset, tmp_path / "all.csv")


def test_a_column_of_the_time_is_no_feature_unless_it_is_named(tmp_path: Path) -> None:
    rows = [f"r{n},{what},{when},{n}" for n, what in enumerate(labels()) for when in ("0.5", "1.5", "1.5")]
    (tmp_path / "all.csv").write_text("\n".join(["id,what,time,x", *rows, ""]))
    fields = {"file": str(tmp_path / "all.csv"), "sequence": "id", "label": "what"}
    assert load(**fields).signature.columns == ("x",)
    dataset = load(**fields, inputs=("time", "x"))
    assert dataset.signature.columns == ("time", "x")
    assert dataset.train.x[0, :, 0].tolist() == [0.5, 1.5, 1.5]
    (tmp_path / "all.csv").write_text("\n".join(["id,what,time,x", *rows, ""]).replace("1.5", "noon"))
    dataset = load(**fields, inputs=("time", "x"), categories=("time",))
    assert dataset.signature.categories == (("0.5", "noon"), ())
    assert len(list(read_inputs(tmp_path / "all.csv", dataset.signature))) == 12


@rewrites_files
@given(st.integers(8, 20), st.integers(1, 3))
def test_repeated_sequences_are_counted(tmp_path: Path, count: int, time: int) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((count, time, 1)), y=np.arange(count) % 2)
    dataset = load(file=str(tmp_path / "a.npz"))
    assert dataset.repeated == {"validation": len(dataset.validation), "test": len(dataset.test)}
    assert dataset.validation.lengths is None


def test_generated_activities() -> None:
    dataset = load(by="subject", window=50, step=25)
    assert [len(part) for part in parts(dataset)] == [882, 196, 184]
    assert dataset.signature.labels == ("climbing", "resting", "running", "walking")
    assert dataset.repeated == {"validation": 0, "test": 0}
    assert "240 recordings of 60 to 239 steps" in dataset.description
