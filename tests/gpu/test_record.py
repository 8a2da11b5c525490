"""The evidence file: what it holds, tried on the CPU, and that the files kept here say what they must."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.gpu.record import record
from tests.matrix import CASES
from zoo.files import json_safe

EVIDENCE = sorted((Path(__file__).parent / "evidence").glob("*.json"))


def test_record() -> None:
    told: list[str] = []
    evidence = record(CASES[:2], ["cpu"], told.append)
    assert json.loads(json.dumps(json_safe(evidence))) == evidence
    assert evidence["verdicts"] == {"passed": 2}
    assert told == [f"{case}: passed" for case in CASES[:2]]
    for case, result in zip(CASES[:2], evidence["cases"], strict=True):
        assert asdict(case).items() <= result.items()
        assert [provider["status"] for provider in result["providers"]] == ["passed"]
        assert {"name", "operator", "provider"} == result["providers"][0]["placement"][0].keys()
    assert {"torch", "onnx"} <= evidence["versions"].keys()


@pytest.mark.skipif(not EVIDENCE, reason="no evidence was recorded yet: python -m tests.gpu.record on a GPU")
@pytest.mark.parametrize("path", EVIDENCE or [Path()], ids=lambda path: path.name or "none")
def test_evidence(path: Path) -> None:
    """Dated, of the whole matrix, and passed in both modes of CUDA."""
    evidence = json.loads(path.read_text())
    assert evidence["date"][:10] == path.stem[:10]
    assert evidence["machine"]["gpu"]
    assert evidence["verdicts"] == {"passed": len(CASES)}
    for case, result in zip(CASES, evidence["cases"], strict=True):
        assert asdict(case).items() <= result.items()
        assert {one["name"]: one["status"] for one in result["providers"]} == dict.fromkeys(
            ("cpu", "cuda strict", "cuda deployed"), "passed"
        )
