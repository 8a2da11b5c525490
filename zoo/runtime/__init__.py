"""Use of exported models in programs with only NumPy and ONNX Runtime; neither torch nor onnx is needed.

::

    from zoo.runtime import OnnxModel

    model = OnnxModel("runs/sentiment/onnx/model.onnx")
    for prediction in model.predict(["not bad at all", "awful"]):
        print(prediction.answers[0].label)
"""

from zoo.runtime.model import OnnxModel

__all__ = ["OnnxModel"]
