"""A file opened up: its inner values made visible, and held against a fresh export. For ``zoo bisect``."""

from zoo_onnx.dissection.onnx_dissection import OnnxDissection

__all__ = ["OnnxDissection"]
