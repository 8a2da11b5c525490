"""The seal of an ONNX file: a hash of its weights, kept in its metadata."""

from __future__ import annotations

import hashlib

import onnx_ir as ir

KEY = "weights_sha256"


def weights_digest(graph: ir.Graph) -> str:
    """SHA-256 over the name, type, shape and bytes of every weight, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(graph.initializers):
        tensor = graph.initializers[name].const_value
        assert tensor is not None
        digest.update(f"{name} {tensor.dtype.name} {tuple(tensor.shape.numpy())}".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
