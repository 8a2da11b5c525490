"""Whether an exported file is whole, and computes here what it says that it must. Needs NumPy and ONNX Runtime alone.

Unlike `zoo.runtime.OnnxModel`, which refuses a file at the first fault, this goes on as far as it can and tells all.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import DataError, RunError
from zoo.runtime.golden import PRECISION, Golden
from zoo.runtime.onnx_contents import contents_fault
from zoo.runtime.onnx_seal import seal_fault
from zoo.runtime.placement import placement_summary
from zoo.runtime.proof_verdict import KEY, PASSED, proof_verdict
from zoo.runtime.session import OnnxSession, read_onnx
from zoo.versions import versions

TOLD = ("name", "opset", "lowering", "steps", "takes")
"""Entries of the metadata that a report repeats, where the file has them."""
_VERIFIED, _NOT = "verified", "not verified"


def verify(path: Path, provider: str = "cpu", *, rejected: bool = False) -> dict[str, Any]:
    """Look at a file and run its golden input.

    Args:
        path: the ``.onnx`` file.
        provider: ``cpu``, or ``cuda``, where it runs as ONNX Runtime does by itself.
        rejected: whether the verdict of the proof that the file carries may be another than *passed*.

    Returns:
        A report, ready for JSON: ``verdict`` is verified or not verified, ``reasons`` says why not, ``checks`` how
        each check ended, in their order, and ``notes`` what is no fault but to be known, by name too.

    Raises:
        ProviderUnavailable: where the provider cannot run here.
        RunError: where there is no file, or it cannot be read.
    """
    content = read_onnx(path)
    report: dict[str, Any] = {"path": str(path), "provider": provider, "bytes": len(content), "checks": {}}
    checks: dict[str, str] = report["checks"]
    checks["stands alone"] = contents_fault(content) or "ok"
    if checks["stands alone"] == "ok":  # else ONNX Runtime must not see it
        checks["seal"] = seal_fault(content) or "ok"
        report |= _run(path, content, provider, checks, rejected=rejected)
    reasons = [f"{name}: {said}" for name, said in checks.items() if said != "ok"]
    return {**report, "verdict": _NOT if reasons else _VERIFIED, "reasons": reasons}


def _run(path: Path, content: bytes, provider: str, checks: dict[str, str], *, rejected: bool) -> dict[str, Any]:
    """Load a file, and compare what it gives for its golden input with what it must give."""
    try:
        session = OnnxSession(path, provider, strict=False, content=content)
    except RunError as error:
        checks["loads"] = str(error)
        return {}
    checks["loads"] = "ok"
    verdict = proof_verdict(session.metadata)
    notes = {"proof": "no verdict in the file"} if verdict is None else {}
    if verdict == PASSED:
        checks["proof"] = "ok"
    elif rejected and verdict is not None:
        notes["proof"] = f"the verdict in the file is {verdict!r}, and --rejected lets it pass"
    elif verdict is not None:
        checks["proof"] = f"the verdict in the file is {verdict!r}; take a file that passed, or give --rejected"
    placed = session.placement()
    told = {
        "nodes": dict(Counter(node.provider for node in placed)),
        **placement_summary(content, placed, provider),
        **_said(session.metadata),
        "notes": notes,
    }
    states = {one.next_name for one in session.states}
    try:
        golden = Golden.from_metadata(session.metadata, [name for name in session.output_names if name not in states])
        found = session.run(golden.x, golden.lengths)
    except (ValueError, DataError, RunError) as error:
        checks["golden output"] = f"cannot be worked out: {error}"
        return told
    compared = golden.compare(found, "tf32" if provider == "cuda" else "float32")
    bad = next((f"{name}: {one.reason}" for name, one in compared.items() if one.status == "failed"), "ok")
    checks["golden output"] = bad
    outputs = [
        {"name": name, "status": one.status, "error": one.max_error, "over_budget": one.over_budget}
        for name, one in compared.items()
    ]
    return {**told, "golden_shape": list(golden.x.shape), "outputs": outputs}


def _said(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a file says of itself, beside what is here."""
    return {
        **{name: metadata[name] for name in TOLD if name in metadata},
        PRECISION: metadata.get(PRECISION, "float32"),
        "versions": {"file": _object(metadata.get("versions")), "here": versions()},
        "proof": _object(metadata.get(KEY)),
    }


def _object(text: str | None) -> dict[str, Any]:
    """A JSON object; nothing where it is none, since a broken seal lets anything be there."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
