"""The ONNX exporter, a plugin. How a model becomes ONNX: exporters/README.md."""

from __future__ import annotations

import zoo
from zoo_onnx.exporter import OnnxExporter

__all__ = ["OnnxExporter", "zoo_register_exporters"]


@zoo.hookimpl
def zoo_register_exporters() -> list[type[zoo.Exporter]]:
    """Return the exporter of this plugin."""
    return [OnnxExporter]
