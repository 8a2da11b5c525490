"""The verdict *inconclusive*: correct files of models that ignore their input, and wrong files of the same models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import zoo
from tests.support.models import FEATURES, draw, make_model, sequences, write
from zoo.parity import Expected, distinguishable
from zoo.proof.outcomes import SAME, ZERO, overall
from zoo.proof.prove import prove

Made = tuple[zoo.Model, NDArray[np.float32]]
"""A model and data for it."""


def scaled(offset: float, factor: float) -> zoo.Normaliser:
    return zoo.Normaliser(zoo.Scale((offset,) * FEATURES, (factor,) * FEATURES))


def with_bias(kind: str, bias: float) -> Made:
    """Return a model whose gates and candidates are saturated at every input."""
    model = make_model(kind)
    with torch.no_grad():
        for name, parameter in model.stack.named_parameters():
            if name.endswith("x2h.bias"):
                parameter.fill_(bias)
    return model, draw(64, 8)


def with_weights(kind: str, factor: float, part: str = "stack") -> Made:
    model = make_model(kind)
    with torch.no_grad():
        for parameter in model.get_submodule(part).parameters():
            parameter.mul_(factor)
    return model, draw(64, 8)


def with_data(offset: float, deviation: float) -> Made:
    """Return data whose offset leaves few or no digits in float32, and a model without normalisation."""
    x = (offset + deviation * np.random.default_rng(0).normal(size=(64, 8, FEATURES))).astype(np.float32)
    return make_model("lstm", encoder=scaled(0.0, 1.0)), x


def dead_relu() -> Made:
    model, x = with_bias("rnn_relu", -1e6)
    return model, x


def saturated_softmax() -> Made:
    """Return a model with logits that depend little on the input, and probabilities of exactly one and zero."""
    model = make_model("lstm")
    with torch.no_grad():
        model.head.get_parameter("weight").mul_(1e-7)
        model.head.get_parameter("bias").copy_(torch.tensor([1e4, *[0.0] * 9]))
    return model, draw(64, 8)


def zero_head(*, bias: bool) -> Made:
    model = make_model("gru_after")
    nn.init.zeros_(model.head.get_parameter("weight"))
    if not bias:
        nn.init.zeros_(model.head.get_parameter("bias"))
    return model, draw(64, 8)


MODELS: dict[str, Callable[[], Made]] = {
    "saturated tanh": lambda: with_bias("rnn_tanh", 1e3),
    "saturated gates, LSTM": lambda: with_bias("lstm", 1e3),
    "closed gates, LSTM": lambda: with_bias("lstm", -1e3),
    "saturated gates, GRU": lambda: with_bias("gru_after", 1e3),
    "dead ReLU": dead_relu,
    "weights of 1e-8": lambda: with_weights("lstm", 1e-8),
    "weights of zero": lambda: with_weights("lstm", 0.0),
    "weights of 1e-8 in the head": lambda: with_weights("lstm", 1e-8, "head"),
    "a head of zeros": lambda: zero_head(bias=True),
    "nothing but zeros": lambda: zero_head(bias=False),
    "an offset of 1e6": lambda: with_data(1e6, 1e-3),
    "an offset of 1e8": lambda: with_data(1e8, 1.0),
    "constant data without a scale": lambda: with_data(5e5, 0.0),
    "a saturated softmax": saturated_softmax,
}


def proof(model: zoo.Model, x: NDArray[np.float32], path: Path) -> dict[str, Any]:
    return prove(model, path, sequences(x), ["cpu"], [], lambda *_: None)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_correct_files_of_models_that_ignore_their_input(make: Callable[[], Made], tmp_path: Path) -> None:
    """Not failed, since they are correct; not passed, since a file that reads no input would agree as well."""
    model, x = make()
    report = proof(model, x, write(model, tmp_path))
    assert report["verdict"] == "inconclusive", report["reasons"]
    (reason,) = report["reasons"]
    assert "so agreement proves nothing; train the model, or look for " in reason
    (result,) = report["providers"]
    assert {output["status"] for output in result["outputs"]} <= {"inconclusive", "passed"}
    assert max(output["over_budget"] for output in result["outputs"]) <= 1


def test_the_reason_names_the_observation(tmp_path: Path) -> None:
    for bias, reason in ((True, SAME), (False, ZERO)):
        model, x = zero_head(bias=bias)
        report = proof(model, x, write(model, tmp_path))
        assert report["providers"][0]["outputs"][0]["reason"] == reason


@pytest.mark.parametrize("name", ["saturated tanh", "weights of 1e-8", "a head of zeros", "an offset of 1e8"])
def test_wrong_files_of_such_models_fail(name: str, tmp_path: Path) -> None:
    """An error over its budget fails, even where the output does not depend on the input."""
    model, x = MODELS[name]()
    path = write(model, tmp_path)
    file = onnx.load(path)
    (gemm,) = [node for node in file.graph.node if node.name == "head/linear"]
    (bias,) = [tensor for tensor in file.graph.initializer if tensor.name == gemm.input[2]]
    values = onnx.numpy_helper.to_array(bias) + np.float32(0.01)
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    onnx.save(file, path)
    report = proof(model, x, path)
    assert report["verdict"] == "failed"
    assert " times its budget" in report["reasons"][0]


def test_a_usual_model_is_conclusive(tmp_path: Path) -> None:
    model = make_model("lstm")
    assert proof(model, draw(64, 8), write(model, tmp_path))["verdict"] == "passed"


def test_which_outputs_are_distinguishable() -> None:
    """The other output must be outside the budget: 8 times the sensitivity plus 4 spacings of float32."""
    expected = Expected(np.array([[1.0, 2.0]]), np.array([1e-6]))
    assert not distinguishable(expected, expected.exact)
    assert not distinguishable(expected, expected.exact + 8e-6)
    assert distinguishable(expected, expected.exact + 1e-5)


def test_which_verdict_outweighs_which() -> None:
    order = ["unavailable", "passed", "inconclusive", "ill-conditioned", "failed"]
    for number, worse in enumerate(order[1:], 1):
        for better in order[:number]:
            assert overall([better, worse]) == overall([worse, better]) == worse
