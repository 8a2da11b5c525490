"""Record of an export, in the report beside the file: what was asked for, with which versions, and the file's hash.

The proof takes precision, steps, states and lowering from here, never from the file, which could otherwise choose the
budget that it is judged by.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

from zoo.exporting.exporter import ExportOptions, Lowering, Precision

EXPORT = "export"
"""Entry of the report that contains the record."""


@dataclass(frozen=True)
class ExportRecord:
    """What an export was asked for, and what it wrote."""

    options: ExportOptions
    """The options, with the opset that the exporter chose where none was given."""
    versions: Mapping[str, str]
    """Those of `zoo.versions.versions` at the export."""
    sha256: str
    """Hexadecimal SHA-256 of the file as it was put in place."""
    parity: Mapping[str, Any] | None = None
    """The summary of the proof in the file's metadata; None for a file that could not be annotated."""

    def to_dict(self) -> dict[str, Any]:
        """Return the record as it appears in a report."""
        return {
            "options": dataclasses.asdict(self.options),
            "versions": dict(self.versions),
            "sha256": self.sha256,
            "parity": None if self.parity is None else dict(self.parity),
        }

    @classmethod
    def read(cls, report: Path) -> Self | None:
        """Read the record from a report; None where there is no report, or no complete record in it."""
        try:
            record = json.loads(report.read_bytes())[EXPORT]
            options = ExportOptions(**record["options"])
            complete = _is_valid(options) and isinstance(record["parity"], dict | None)
            return cls(options, dict(record["versions"]), str(record["sha256"]), record["parity"]) if complete else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _is_valid(options: ExportOptions) -> bool:
    """Return whether options from a report have types and values that an export gives them."""
    return (
        all(number is None or type(number) is int for number in (options.opset, options.steps))
        and type(options.states) is type(options.streaming) is bool
        and options.lowering in get_args(Lowering)
        and options.precision in get_args(Precision)
        and options.target in ("cpu", "cuda")
        and (options.steps is None) == (options.lowering != "unrolled")
    )
