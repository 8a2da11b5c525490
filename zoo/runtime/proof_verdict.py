"""Verdict of the proof in a file's metadata. Needs the standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping

KEY = "parity"
"""Metadata entry with a summary of the proof, as JSON. A file that a program wrote through an exporter lacks it."""
PASSED = "passed"


def proof_verdict(metadata: Mapping[str, str]) -> str | None:
    """Return the verdict of a file's proof; None without an entry, ``unreadable`` if the entry is malformed."""
    if KEY not in metadata:
        return None
    try:
        report = json.loads(metadata[KEY])
    except ValueError:
        return "unreadable"
    verdict = report.get("verdict") if isinstance(report, dict) else None
    return verdict if isinstance(verdict, str) else "unreadable"


def proof_fault(metadata: Mapping[str, str]) -> str | None:
    """Return why the proof forbids the use of a file, with advice; None if it passed or the file has no verdict."""
    verdict = proof_verdict(metadata)
    if verdict in (None, PASSED):
        return None
    return (
        f"did not pass its proof, whose verdict is {verdict!r}; take a file that passed, look into this one with 'zoo "
        "bisect', or use it anyway with allow_unproven=True or 'zoo predict --rejected'"
    )
