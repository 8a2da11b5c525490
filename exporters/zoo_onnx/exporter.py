"""Entry point of the exporter. Its modules are imported on first use, since they load 70 MB of libraries."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from torch import nn

import zoo


class OnnxExporter(zoo.Exporter):
    """Exporter to ONNX: one RNN, LSTM or GRU node a layer, or a Scan; batch and time are free unless it is unrolled."""

    name = "onnx"
    suffix = ".onnx"

    def export(self, model: zoo.Model, path: Path, metadata: Mapping[str, str], options: zoo.ExportOptions) -> None:
        from zoo_onnx.file import write

        write(model, path, metadata, options)

    def export_module(
        self,
        module: nn.Module,
        args: tuple[Any, ...],
        path: Path,
        metadata: Mapping[str, str],
        options: zoo.ExportOptions,
        fixed: Mapping[str, Collection[int]] | None = None,
    ) -> zoo.ModuleSignature:
        from zoo_onnx.module.export import write_module

        return write_module(module, args, path, metadata, options, fixed or {})

    def annotate(self, path: Path, metadata: Mapping[str, str]) -> None:
        from zoo_onnx.file import annotate

        annotate(path, metadata)

    def faults(self, path: Path) -> list[str]:
        from zoo_onnx.file import faults

        return faults(path)

    def inspect(self, path: Path) -> zoo.GraphSummary:
        from zoo_onnx.file import read
        from zoo_onnx.summary import summarise

        return summarise(read(path), path)

    def dissect(self, path: Path) -> zoo.Dissection:
        from zoo_onnx.dissection import OnnxDissection

        return OnnxDissection(path)

    def placement(self, path: Path) -> list[zoo.PredictedNode]:
        from zoo_onnx.file import read
        from zoo_onnx.placement import predict

        return predict(read(path))

    def differences(self, path: Path, fresh: Path) -> list[zoo.Difference] | None:
        from zoo_onnx.file import read_valid
        from zoo_onnx.structure import differences

        return differences(read_valid(path), read_valid(fresh))
