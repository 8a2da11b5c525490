"""Use of exported models in programs with only NumPy and ONNX Runtime; neither torch nor onnx is needed.

::

    from zoo.runtime import OnnxModel

    model = OnnxModel("runs/sentiment/onnx/model.onnx")
    for prediction in model.predict(["not bad at all", "awful"]):
        print(prediction.answers[0].label)

Imports `zoo.data` (without its `dataset`) and the modules of `zoo` itself; imported by every room from `zoo.run` up.
"""

from zoo.runtime.model import OnnxModel

__all__ = ["OnnxModel"]
