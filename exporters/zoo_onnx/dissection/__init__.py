"""Dissection of a file for ``zoo bisect``: its inner values as outputs, and its nodes compared with a fresh export."""

from zoo_onnx.dissection.onnx_dissection import OnnxDissection

__all__ = ["OnnxDissection"]
