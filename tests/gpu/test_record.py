"""The evidence file: what it holds, tried on the CPU, and that the files kept here say what they must."""

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
    """The real matrix, of less."""
    monkeypatch.setattr("zoo.matrix.points.SHAPES", ((1, 1), (3, 5)))
    monkeypatch.setattr("zoo.matrix.points.LENGTHS", ("none", "mixed"))
    monkeypatch.setattr("zoo.matrix.points.OPSETS", (20,))


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("full", [False, True])
def test_record(full: bool) -> None:
    told: list[tuple[int, int]] = []
    evidence = record(
        ["rnn_tanh"], ["cpu"], full=full, hidden_size=4, progress=lambda done, total: told.append((done, total))
    )
    assert json.loads(json.dumps(json_safe(evidence))) == evidence
    assert [done for done, _ in told] == list(range(1, told[-1][1] + 1))
    assert {"torch", "onnx"} <= evidence["versions"].keys()
    assert (evidence["full"], evidence["hidden_size"]) == (full, 4)
    (found,) = evidence["cells"]["rnn_tanh"].values()
    assert found["elsewhere"] == []
    assert 0 < found["worst"] <= 1
    # Models x what there is to give them without and with lengths x the opsets 20 and the newest.
    assert not full or sum(found["counts"].values()) == 3 * 2 * 2 * 2 * 3 * (2 + 1) * 2
    kept = sum(count for status, count in found["counts"].items() if not full or status != "passed")
    assert len(evidence["rows"]) == kept


@pytest.mark.skipif(not EVIDENCE, reason="no evidence was recorded yet: python -m tests.gpu.record on a GPU")
@pytest.mark.parametrize("path", EVIDENCE or [Path()], ids=lambda path: path.name or "none")
def test_evidence(path: Path) -> None:
    """Dated, of every cell of the matrix, in each mode as many points, and none failed."""
    evidence = json.loads(path.read_text())
    assert evidence["date"][:10] == path.stem[:10]
    assert evidence["machine"]["gpu"]
    assert set(evidence["cells"]) == set(CELLS)
    for modes in evidence["cells"].values():
        assert set(modes) == MODES
        assert len({sum(found["counts"].values()) for found in modes.values()}) == 1
        assert all("failed" not in found["counts"] and found["counts"]["passed"] for found in modes.values())
