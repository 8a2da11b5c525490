"""Verification of an exported file on this machine: intact, and with correct golden outputs.

Unlike `zoo.runtime.OnnxModel`, which rejects a file at the first fault, this performs every check that it can and
reports all results. Needs NumPy and ONNX Runtime only.

Everything that a file contains can be altered together with its seal: the golden output, the verdict of the proof. So
without an expected hash the report shows damage and mistakes, not malice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import DataError, RunError
from zoo.runtime.file_hash import hash_fault, read_hash, sha256
from zoo.runtime.golden import PRECISION, Golden, first_failure
from zoo.runtime.onnx_contents import contents_fault
from zoo.runtime.onnx_metadata import metadata_entries
from zoo.runtime.onnx_seal import seal_fault
from zoo.runtime.placement import placement_summary
from zoo.runtime.proof_verdict import KEY, PASSED, proof_verdict
from zoo.runtime.session import OnnxSession, read_onnx
from zoo.runtime.tensors import MODULE, TensorSession
from zoo.versions import versions

REPORTED = ("name", MODULE, "opset", "lowering", "steps", "takes")
"""Metadata entries that the report repeats if the file has them."""
_VERIFIED, _NOT = "verified", "not verified"


def verify(path: Path, provider: str = "cpu", *, rejected: bool = False, expect: str | None = None) -> dict[str, Any]:
    """Check a file and run its golden input.

    Args:
        path: the ``.onnx`` file.
        provider: ``cpu`` or ``cuda``; on CUDA with ONNX Runtime's default arithmetic, TF32.
        rejected: whether a verdict other than *passed* in the file is accepted.
        expect: the SHA-256 that the file must have, as `zoo.runtime.file_hash.read_hash` reads it; None for any. A file
            with another one is not run, since it is not the file that the caller trusts.

    Returns:
        A report, ready for JSON: ``verdict`` is *verified* or *not verified*; ``reasons`` lists the faults; ``checks``
        has the result of each check by name, in order, ``ok`` or the fault; ``notes`` has remarks that are no faults;
        ``sha256`` is that of the file.

    Raises:
        ProviderUnavailable: if the provider cannot run on this machine.
        RunError: if the file does not exist or cannot be read.
        UsageError: if ``expect`` is no hash.
    """
    wanted = None if expect is None else read_hash(expect)
    content = read_onnx(path)
    checks: dict[str, str] = {}
    report = {
        "path": str(path),
        "provider": provider,
        "bytes": len(content),
        "sha256": sha256(content),
        "checks": checks,
    }
    if wanted is not None:
        checks["expected hash"] = hash_fault(content, wanted) or "ok"
    checks["stands alone"] = contents_fault(content) or "ok"
    if checks["stands alone"] == "ok":
        checks["seal"] = seal_fault(content) or "ok"
        if checks.get("expected hash", "ok") == "ok":
            report |= _run(path, content, provider, checks, rejected=rejected)
        else:
            report["notes"] = {"golden output": "not run, since the file is not the expected one"}
    reasons = [f"{name}: {result}" for name, result in checks.items() if result != "ok"]
    return {**report, "verdict": _NOT if reasons else _VERIFIED, "reasons": reasons}


def _run(path: Path, content: bytes, provider: str, checks: dict[str, str], *, rejected: bool) -> dict[str, Any]:
    """Load a file and compare its outputs for the golden input with the golden outputs; add to ``checks``."""
    of_module = MODULE in dict(metadata_entries(content))
    try:
        kind = TensorSession if of_module else OnnxSession
        session = kind(path, provider, strict=False, content=content)
    except RunError as error:
        checks["loads"] = str(error)
        return {}
    checks["loads"] = "ok"
    verdict = proof_verdict(session.metadata)
    notes = {"proof": "no verdict in the file"} if verdict is None else {}
    if verdict == PASSED:
        checks["proof"] = "ok"
    elif rejected and verdict is not None:
        notes["proof"] = f"the verdict in the file is {verdict!r}, and --rejected accepts it"
    elif verdict is not None:
        checks["proof"] = f"the verdict in the file is {verdict!r}; take a file that passed, or give --rejected"
    placed = session.placement()
    report = {
        "nodes": dict(Counter(node.provider for node in placed)),
        **placement_summary(content, placed, provider),
        **_metadata_fields(session.metadata),
        "notes": notes,
    }
    if isinstance(session, TensorSession):
        notes["golden output"] = "none in the file of a module; zoo.prove_module compares it with its module"
        return report
    try:
        golden = Golden.from_metadata(session.metadata, session.result_names)
        actual = session.run(golden.x, golden.lengths)
    except (ValueError, DataError, RunError) as error:
        checks["golden output"] = f"cannot be computed: {error}"
        return report
    comparisons = golden.compare(actual, "tf32" if provider == "cuda" else "float32")
    checks["golden output"] = first_failure(comparisons) or "ok"
    outputs = [
        {"name": name, "status": output.status, "error": output.max_error, "over_budget": output.over_budget}
        for name, output in comparisons.items()
    ]
    return {**report, "golden_shape": list(golden.x.shape), "outputs": outputs}


def _metadata_fields(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the report's entries from the metadata, with the installed versions beside those in the file."""
    return {
        **{name: metadata[name] for name in REPORTED if name in metadata},
        PRECISION: metadata.get(PRECISION, "float32"),
        "versions": {"file": _object(metadata.get("versions")), "here": versions()},
        "proof": _object(metadata.get(KEY)),
    }


def _object(text: str | None) -> dict[str, Any]:
    """Parse a JSON object; return an empty one for other text, which a file with a broken seal may contain."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
