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
from tests.support.models import make_model, write
from zoo.runtime import providers
from zoo.runtime.providers import PlacedNode, unavailable
from zoo.runtime.session import OnnxSession

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
Asked = list[dict[str, Any]]


class Session:
    """Says which providers it got."""

    def __init__(self, got: list[str]) -> None:
        self.get_providers = lambda: got


def stand_in(asked: Asked, got: list[str]) -> Callable[..., Session]:
    def start(model: object, options: ort.SessionOptions, **arguments: Any) -> Session:
        asked.append(arguments)
        return Session(got)

    return start


@pytest.mark.parametrize(("strict", "tf32"), [(True, "0"), (False, "1")])
def test_cuda_is_asked_for_and_may_not_fall_back(strict: bool, tf32: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32 off in the strict mode and on as by itself in the other; nodes that CUDA lacks may run on the CPU."""
    asked: Asked = []
    monkeypatch.setattr(providers, "unavailable", lambda _: None)
    monkeypatch.setattr(ort, "InferenceSession", stand_in(asked, [CUDA, CPU]))
    providers.start(b"", Path("model.onnx"), "cuda", strict=strict, threads=None)
    assert asked == [{"providers": [(CUDA, {"use_tf32": tf32}), CPU], "enable_fallback": 0}]


def test_a_provider_that_is_left_out_in_silence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime logs a line and goes on with the CPU alone."""
    monkeypatch.setattr(providers, "unavailable", lambda _: None)
    monkeypatch.setattr(ort, "InferenceSession", stand_in([], [CPU]))
    with pytest.raises(zoo.RunError, match=f"ONNX Runtime could not start {CUDA}"):
        providers.start(b"", Path("model.onnx"), "cuda", strict=True, threads=None)


# --- why a provider is not there ------------------------------------------------------------------------------------


@pytest.fixture
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The answer is kept for the process; here it is worked out again, with CUDA compiled in."""
    monkeypatch.setattr(providers, "unavailable", unavailable.__wrapped__)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "preload_dlls", lambda: print("what it does not find"))
    monkeypatch.setattr(providers, "missing_libraries", lambda _: {})
    return monkeypatch


def missing_library(path: str, mode: int) -> None:
    """Of one that another library needs, where there is no ``ldd`` to name it."""
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
    asked_anew.setattr("zoo.runtime.providers.ctypes.CDLL", library)
    assert providers.unavailable("cuda") == reason
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (["libcurand.so.10"], "libcurand.so.10 not found"),
        (["libcublas.so.13", "libcurand.so.10", "libcudnn.so.9"], "libcublas.so.13 not found, and 2 more"),
    ],
)
def test_libraries_that_are_missing(missing: list[str], reason: str, asked_anew: pytest.MonkeyPatch) -> None:
    asked_anew.setattr(providers, "missing_libraries", lambda _: dict.fromkeys(missing, "a package"))
    assert providers.unavailable("cuda") == reason


def test_alone_means_without_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Asked = []
    monkeypatch.setattr(ort, "InferenceSession", stand_in(asked, [CUDA]))
    assert providers.refusal_without_cpu(b"", "cuda") is None
    assert asked == [{"providers": [(CUDA, {})], "enable_fallback": 0}]
    monkeypatch.setattr(ort, "InferenceSession", no_device)
    assert providers.refusal_without_cpu(b"", "cuda") == "CUDA failure 100: no CUDA-capable device is detected"


def test_onnx_runtime_knows_the_option_that_forbids_the_cpu(tmp_path: Path) -> None:
    """It refuses every file then, since here the CPU is all there is; its words are what the report tells."""
    refusal = providers.refusal_without_cpu(write(make_model("lstm"), tmp_path).read_bytes(), "cpu")
    assert refusal is not None
    assert "disabled fallback to the CPU EP" in refusal


def test_a_machine_without_a_gpu(asked_anew: pytest.MonkeyPatch) -> None:
    """With every library there, as in a container: the model of one node tells."""
    asked_anew.setattr("zoo.runtime.providers.ctypes.CDLL", lambda *_, **__: None)
    asked_anew.setattr(ort, "InferenceSession", no_device)
    assert providers.unavailable("cuda") == "CUDA failure 100: no CUDA-capable device is detected"


def test_a_build_without_cuda(asked_anew: pytest.MonkeyPatch) -> None:
    asked_anew.setattr(ort, "get_available_providers", lambda: [CPU])
    assert providers.unavailable("cuda") == (
        f"this build of ONNX Runtime has no {CUDA}; install onnxruntime-gpu in place of onnxruntime"
    )
    assert providers.unavailable("cpu") is None


def test_one_node_runs_where_the_provider_does() -> None:
    assert providers._start_fault("cpu") is None


def test_placement_names_every_node(tmp_path: Path) -> None:
    placement = OnnxSession(write(make_model("lstm"), tmp_path)).placement()
    assert PlacedNode("layer_0/lstm", "LSTM", CPU) in placement
    assert {node.provider for node in placement} == {CPU}


# --- what a file is read as -----------------------------------------------------------------------------------------


def test_the_other_format_of_onnx_runtime_is_never_read(tmp_path: Path) -> None:
    """A flatbuffer, which no check here looks into; ONNX Runtime left to itself takes it by its 4th to 7th byte."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(str(write(make_model("lstm"), tmp_path)), options, providers=[CPU])
    content = (tmp_path / "model.ort").read_bytes()
    assert content[4:8] == b"ORTM"
    ort.InferenceSession(content, providers=[CPU])
    with pytest.raises(zoo.RunError, match="ONNX Runtime does not load it"):
        providers.start(content, tmp_path / "model.ort", "cpu", strict=True, threads=None)


def test_every_session_begins_with_the_same_options() -> None:
    """But for the script that bisect leaves, which names a file by its path and needs no zoo."""
    root = Path(zoo.__file__).parent
    makers = {str(path.relative_to(root)) for path in root.rglob("*.py") if ".SessionOptions(" in path.read_text()}
    assert makers == {"runtime/providers.py", "bisect/folder.py"}
    assert providers.session_options().get_session_config_entry("session.load_model_format") == "ONNX"
