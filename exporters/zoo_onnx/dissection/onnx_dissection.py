"""Dissection of one ONNX file; each method calls one module of this package."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

import zoo
from zoo_onnx.dissection.differences import differences
from zoo_onnx.dissection.probe import write_probes
from zoo_onnx.dissection.products import wrong_products
from zoo_onnx.dissection.suspects import cut


class OnnxDissection(zoo.Dissection):
    """Dissection of an ONNX file.

    Args:
        path: a file that ONNX Runtime loads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._copy = path

    def probes(self, to: Path) -> list[zoo.Probe]:
        self._copy = to
        return write_probes(self.path, to)

    def differences(self, fresh: Path, bad: zoo.Probe, good: Collection[zoo.Probe]) -> list[zoo.Difference]:
        # Copies of both with the same further outputs, so that the outputs of loops correspond.
        fresh_copy = fresh.with_name(f"{fresh.name}.probed")
        write_probes(fresh, fresh_copy)
        correct = {probe.output for probe in good}
        return differences(onnx.load(self._copy), onnx.load(fresh_copy), bad.output, correct)

    def wrong_products(self, bad: zoo.Probe, good: Collection[zoo.Probe]) -> list[zoo.Difference]:
        return wrong_products(onnx.load(self._copy), bad.output, {probe.output for probe in good})

    def cut(
        self, bad: zoo.Probe, good: Collection[zoo.Probe], values: Mapping[str, NDArray[Any]], to: Path
    ) -> Sequence[str]:
        return cut(onnx.load(self._copy), bad, good, values, to)
