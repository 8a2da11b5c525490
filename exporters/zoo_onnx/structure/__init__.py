"""Structure of files: everything in which a file differs from a fresh export of the same model, node by node."""

from zoo_onnx.structure.files import differences

__all__ = ["differences"]
