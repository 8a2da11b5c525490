"""What a file carries of its own proof: whether it passed. Needs the standard library alone."""

from __future__ import annotations

import json
from collections.abc import Mapping

KEY = "parity"
"""The entry of a file's metadata that holds the verdict of its proof, as JSON. A file that an exporter wrote in a
program has none."""
PASSED = "passed"


def proof_verdict(metadata: Mapping[str, str]) -> str | None:
    """The verdict of a file's proof; None where it carries none, ``unreadable`` where the entry is no verdict."""
    if KEY not in metadata:
        return None
    try:
        report = json.loads(metadata[KEY])
    except ValueError:
        return "unreadable"
    verdict = report.get("verdict") if isinstance(report, dict) else None
    return verdict if isinstance(verdict, str) else "unreadable"


def proof_fault(metadata: Mapping[str, str]) -> str | None:
    """What a file's own proof holds against using it, and what to do; None where it passed, or there is no verdict."""
    verdict = proof_verdict(metadata)
    if verdict in (None, PASSED):
        return None
    return (
        f"did not pass its proof, whose verdict is {verdict!r}; take a file that passed, look into this one with 'zoo "
        "bisect', or use it all the same with allow_unproven=True or 'zoo predict --rejected'"
    )
