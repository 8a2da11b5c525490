"""The matrix of architectures that are proven: every kind of cell in every direction, depth, and implementation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import zoo
from tests.builders import DIRECTIONS, KINDS
from tests.models import draw, make_model, sequences, write
from zoo.proof import prove


@dataclass(frozen=True)
class Case:
    """One architecture."""

    kind: str
    direction: str
    layers: int
    bias: bool
    implementation: str

    def model(self, hidden_size: int) -> zoo.Model:
        return make_model(
            self.kind,
            hidden_size=hidden_size,
            direction=self.direction,
            num_layers=self.layers,
            bias=self.bias,
            implementation=self.implementation,
        )

    def prove(self, folder: Path, providers: Sequence[str], hidden_size: int = 16) -> dict[str, Any]:
        """Export to a file of the folder and prove it; returns the report."""
        model = self.model(hidden_size)
        file = write(model, folder, lowering="native")
        return prove(model, file, sequences(draw(64, 8)), providers, [], lambda _: None)

    def __str__(self) -> str:
        bias = "bias" if self.bias else "plain"
        return f"{self.kind}-{self.direction}-{self.layers}-{bias}-{self.implementation}"


CASES = [
    case
    for case in (Case(*options) for options in product(KINDS, DIRECTIONS, (1, 3), (True, False), ("fused", "cell")))
    if KINDS[case.kind].has_kernel or case.implementation == "cell"
]
