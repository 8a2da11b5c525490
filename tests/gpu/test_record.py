"""The evidence file: its contents, produced on the CPU here, and the recorded files in evidence/."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gpu.record import record
from tests.matrix.ten_cells import CELLS
from zoo.files import json_safe

EVIDENCE = sorted((Path(__file__).parent / "evidence").glob("*.json"))
MODES = {"cpu", "cuda strict", "cuda deployed"}


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real matrix with fewer shapes, kinds of lengths and opsets."""
    monkeypatch.setattr("zoo.matrix.points.SHAPES", ((1, 1), (3, 5)))
    monkeypatch.setattr("zoo.matrix.points.LENGTHS", ("none", "mixed"))
    monkeypatch.setattr("zoo.matrix.points.OPSETS", (20,))


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("full", [False, True])
def test_record(full: bool) -> None:
    calls: list[tuple[int, int]] = []
    evidence = record(
        ["rnn_tanh"], ["cpu"], full=full, hidden_size=4, progress=lambda done, total: calls.append((done, total))
    )
    assert json.loads(json.dumps(json_safe(evidence))) == evidence
    assert [done for done, _ in calls] == list(range(1, calls[-1][1] + 1))
    assert {"torch", "onnx"} <= evidence["versions"].keys()
    assert (evidence["full"], evidence["hidden_size"]) == (full, 4)
    (summary,) = evidence["cells"]["rnn_tanh"].values()
    assert summary["elsewhere"] == []
    assert 0 < summary["worst"] <= 1
    # Models, then inputs of a model without and with lengths, then opset 20 and the newest.
    assert not full or sum(summary["counts"].values()) == 3 * 2 * 2 * 2 * 3 * (2 + 1) * 2
    kept = sum(count for status, count in summary["counts"].items() if not full or status != "passed")
    assert len(evidence["rows"]) == kept


@pytest.mark.skipif(not EVIDENCE, reason="no evidence recorded yet: run python -m tests.gpu.record on a GPU")
@pytest.mark.parametrize("path", EVIDENCE or [Path()], ids=lambda path: path.name or "none")
def test_evidence(path: Path) -> None:
    """The file is dated and has every cell of the matrix, equally many points in each mode, and no failure."""
    evidence = json.loads(path.read_text())
    assert evidence["date"][:10] == path.stem[:10]
    assert evidence["machine"]["gpu"]
    assert set(evidence["cells"]) == set(CELLS)
    for modes in evidence["cells"].values():
        assert set(modes) == MODES
        counts = [summary["counts"] for summary in modes.values()]
        assert len({sum(count.values()) for count in counts}) == 1
        assert all("failed" not in count and count["passed"] for count in counts)
