"""Report of a run and its proofs: one self-contained HTML page, and its pictures as files.

Imports `zoo.jobs` and the rooms below it; imported by `zoo.cli` alone.
"""

from zoo.report.page import Report, write_report

__all__ = ["Report", "write_report"]
