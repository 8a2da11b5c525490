"""Exported models in use, for programs that have neither torch nor onnx: NumPy and ONNX Runtime are all it takes.

::

    from zoo.runtime import OnnxModel

    model = OnnxModel("runs/sentiment/onnx/model.onnx")
    for prediction in model.predict(["not bad at all", "awful"]):
        print(prediction.answers[0].label)
"""

from zoo.runtime.model import OnnxModel

__all__ = ["OnnxModel"]
