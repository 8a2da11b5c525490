"""Paths in the checkout."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs"
DATA = ROOT.parent / "shared" / "data"
"""Real data sets beside the checkout, if the machine has them; otherwise the tests that read them are skipped."""
