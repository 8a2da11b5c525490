"""Session of any ONNX file, with whatever tensors it takes and gives. Does not need torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from zoo.errors import RunError
from zoo.runtime.onnx_contents import contents_fault
from zoo.runtime.providers import PlacedNode, compute, placement, start
from zoo.runtime.session import read_onnx

MODULE = "module"
"""Metadata entry with the class of the module that a file was exported from; a file of a run has none."""


class TensorInput(NamedTuple):
    """Input of a file."""

    name: str
    kind: str
    """ONNX Runtime's name of the type, such as ``tensor(float)``."""
    shape: tuple[int | str | None, ...]
    """Sizes of the axes: a number, the name of a free size, or None for a free size without a name."""


class TensorSession:
    """Any ONNX file that stands alone, loaded on one provider.

    Args:
        path: the file.
        provider: ``cpu`` or ``cuda``.
        strict: whether float32 products are computed in float32; see `zoo.runtime.session.OnnxSession`.
        content: the bytes of the file, if they have already been read.

    Raises:
        ProviderUnavailable: if the provider cannot run on this machine.
        RunError: if ONNX Runtime cannot load the file, or the file needs others.
    """

    def __init__(self, path: Path, provider: str = "cpu", *, strict: bool = True, content: bytes | None = None) -> None:
        content = read_onnx(path) if content is None else content
        if fault := contents_fault(content):
            raise RunError(f"{path}: {fault}")
        self.path = path
        self._session = start(content, path, provider, strict=strict, threads=None)
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.inputs = [
            TensorInput(node.name, node.type, tuple(size or None for size in node.shape))
            for node in self._session.get_inputs()
        ]
        self.output_names = [output.name for output in self._session.get_outputs()]

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return each output by name.

        Args:
            feeds: every input by name, none of them empty: ONNX Runtime may abort the process then.

        Raises:
            RunError: if ONNX Runtime fails.
        """
        return dict(zip(self.output_names, compute(self._session, self.path, self.output_names, feeds), strict=True))

    def placement(self) -> list[PlacedNode]:
        """Return every node of the optimised graph with its provider."""
        return placement(self._session)
