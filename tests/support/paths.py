"""Where things stand in the checkout, for tests of every room."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs"
DATA = ROOT.parent / "shared" / "data"
"""Real data sets, where a machine has them beside the checkout; the tests that read them are skipped elsewhere."""
