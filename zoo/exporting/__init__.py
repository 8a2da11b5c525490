"""The contract of an exporter, and of the dissection of an exported file that `zoo bisect` needs.

Imports `zoo.nn` alone. The exporters themselves are plugins: ``exporters/`` holds the one for ONNX.
"""
