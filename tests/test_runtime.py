"""How ONNX Runtime is asked, above all for CUDA, which most machines that run this have not.

CUDA itself is proven in tests/gpu; here a stand-in for ONNX Runtime's session tells what it was asked.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

import zoo
from tests.models import make_model, write
from zoo import runtime
from zoo.runtime import OnnxSession, PlacedNode, unavailable

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
Asked = list[dict[str, Any]]


class Session:
    """Says that it got every provider, and has no inputs."""

    def __init__(self, providers: list[str]) -> None:
        self.get_providers = lambda: providers


def stand_in(asked: Asked, providers: list[str]) -> Callable[..., Session]:
    def start(model: object, options: ort.SessionOptions, **arguments: Any) -> Session:
        asked.append(arguments)
        return Session(providers)

    return start


@pytest.mark.parametrize(("strict", "tf32"), [(True, "0"), (False, "1")])
def test_cuda_is_asked_for_and_may_not_fall_back(strict: bool, tf32: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32 off in the strict mode and on as by itself in the other; nodes that CUDA lacks may run on the CPU."""
    asked: Asked = []
    monkeypatch.setattr(runtime, "unavailable", lambda _: None)
    monkeypatch.setattr(ort, "InferenceSession", stand_in(asked, [CUDA, CPU]))
    with pytest.raises(AttributeError, match="get_inputs"):
        OnnxSession(Path(__file__), "cuda", strict=strict)
    assert asked == [{"providers": [(CUDA, {"use_tf32": tf32}), CPU], "enable_fallback": 0}]


def test_a_provider_that_is_left_out_in_silence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime logs a line and goes on with the CPU alone."""
    monkeypatch.setattr(runtime, "unavailable", lambda _: None)
    monkeypatch.setattr(ort, "InferenceSession", stand_in([], [CPU]))
    with pytest.raises(zoo.RunError, match=f"ONNX Runtime could not start {CUDA}"):
        OnnxSession(Path(__file__), "cuda")


# --- why a provider is not there ------------------------------------------------------------------------------------


@pytest.fixture
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The answer is kept for the process; here it is worked out again, with CUDA compiled in."""
    monkeypatch.setattr(runtime, "unavailable", unavailable.__wrapped__)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "preload_dlls", lambda: print("what it does not find"))
    return monkeypatch


def missing_library(path: str, mode: int) -> None:
    raise OSError("libcudnn.so.9: cannot open shared object file: No such file or directory")


def broken_library(path: str, mode: int) -> None:
    raise OSError("libcudnn.so.9: undefined symbol:\n what_not")


def no_device(model: object, options: object, **arguments: object) -> None:
    raise RuntimeError("CUDA failure 100:\n no CUDA-capable device is detected")


@pytest.mark.skipif(
    not list((Path(ort.__file__).parent / "capi").glob("*providers_cuda*")), reason="no CUDA in this build"
)
@pytest.mark.parametrize(
    ("library", "reason"),
    [
        (missing_library, "libcudnn.so.9 not found"),
        (broken_library, "libcudnn.so.9: undefined symbol: what_not"),
    ],
)
def test_a_library_that_does_not_load(
    library: Callable[..., None], reason: str, asked_anew: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked_anew.setattr("zoo.runtime.ctypes.CDLL", library)
    assert runtime.unavailable("cuda") == reason
    assert capsys.readouterr().out == ""


def test_a_machine_without_a_gpu(asked_anew: pytest.MonkeyPatch) -> None:
    """With every library there, as in a container: the model of one node tells."""
    asked_anew.setattr("zoo.runtime.ctypes.CDLL", lambda *_, **__: None)
    asked_anew.setattr(ort, "InferenceSession", no_device)
    assert runtime.unavailable("cuda") == "CUDA failure 100: no CUDA-capable device is detected"


def test_a_build_without_cuda(asked_anew: pytest.MonkeyPatch) -> None:
    asked_anew.setattr(ort, "get_available_providers", lambda: [CPU])
    assert runtime.unavailable("cuda") == (
        f"this build of ONNX Runtime has no {CUDA}; install onnxruntime-gpu in place of onnxruntime"
    )
    assert runtime.unavailable("cpu") is None


def test_one_node_runs_where_the_provider_does() -> None:
    assert runtime._start_fault("cpu") is None


# --- sessions -------------------------------------------------------------------------------------------------------


def test_placement_names_every_node(tmp_path: Path) -> None:
    placement = OnnxSession(write(make_model("lstm"), tmp_path)).placement()
    assert PlacedNode("layer_0/lstm", "LSTM", CPU) in placement
    assert {node.provider for node in placement} == {CPU}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(zoo.RunError) as caught:
        OnnxSession(path)
    assert str(caught.value) == f"{path}: does not exist; 'zoo export --onnx' makes it"
