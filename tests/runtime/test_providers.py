"""Requests to ONNX Runtime for a provider, and its availability, mostly for CUDA on machines without a GPU.

CUDA itself is proven in tests/gpu. Here a fake of ONNX Runtime's session records its arguments.
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
Calls = list[dict[str, Any]]


class FakeSession:
    """Session of ONNX Runtime with given providers."""

    def __init__(self, providers: list[str]) -> None:
        self.get_providers = lambda: providers


def fake_session(calls: Calls, providers: list[str]) -> Callable[..., FakeSession]:
    """Return a replacement for ``InferenceSession`` that records its arguments in ``calls``."""

    def start(model: object, options: ort.SessionOptions, **arguments: Any) -> FakeSession:
        calls.append(arguments)
        return FakeSession(providers)

    return start


@pytest.mark.parametrize(("strict", "tf32"), [(True, "0"), (False, "1")])
def test_cuda_is_requested_without_fallback(strict: bool, tf32: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32 is disabled in strict mode only; nodes that CUDA does not support may run on the CPU."""
    calls: Calls = []
    monkeypatch.setattr(providers, "unavailable", lambda _: None)
    monkeypatch.setattr(ort, "InferenceSession", fake_session(calls, [CUDA, CPU]))
    providers.start(b"", Path("model.onnx"), "cuda", strict=strict, threads=None)
    assert calls == [{"providers": [(CUDA, {"use_tf32": tf32}), CPU], "enable_fallback": 0}]


def test_a_silently_dropped_provider_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime logs a line and continues with the CPU only."""
    monkeypatch.setattr(providers, "unavailable", lambda _: None)
    monkeypatch.setattr(ort, "InferenceSession", fake_session([], [CPU]))
    with pytest.raises(zoo.RunError, match=f"ONNX Runtime could not start {CUDA}"):
        providers.start(b"", Path("model.onnx"), "cuda", strict=True, threads=None)


# --- unavailable providers ------------------------------------------------------------------------------------------


@pytest.fixture
def uncached(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Patch that bypasses the cache of `unavailable`, in a build with CUDA and without missing libraries."""
    monkeypatch.setattr(providers, "unavailable", unavailable.__wrapped__)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "preload_dlls", lambda: print("a missing library"))
    monkeypatch.setattr(providers, "missing_libraries", lambda _: {})
    return monkeypatch


def missing_library(path: str, mode: int) -> None:
    """Fail for a library that another one needs, as without ``ldd``."""
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
    library: Callable[..., None], reason: str, uncached: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uncached.setattr("zoo.runtime.providers.ctypes.CDLL", library)
    assert providers.unavailable("cuda") == reason
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (["libcurand.so.10"], "libcurand.so.10 not found"),
        (["libcublas.so.13", "libcurand.so.10", "libcudnn.so.9"], "libcublas.so.13 not found, and 2 more"),
    ],
)
def test_libraries_that_are_missing(missing: list[str], reason: str, uncached: pytest.MonkeyPatch) -> None:
    uncached.setattr(providers, "missing_libraries", lambda _: dict.fromkeys(missing, "a package"))
    assert providers.unavailable("cuda") == reason


def test_the_cpu_can_be_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Calls = []
    monkeypatch.setattr(ort, "InferenceSession", fake_session(calls, [CUDA]))
    assert providers.refusal_without_cpu(b"", "cuda") is None
    assert calls == [{"providers": [(CUDA, {})], "enable_fallback": 0}]
    monkeypatch.setattr(ort, "InferenceSession", no_device)
    assert providers.refusal_without_cpu(b"", "cuda") == "CUDA failure 100: no CUDA-capable device is detected"


def test_onnx_runtime_knows_the_option_that_forbids_the_cpu(tmp_path: Path) -> None:
    """On the CPU provider it then refuses every file; the report contains its message."""
    refusal = providers.refusal_without_cpu(write(make_model("lstm"), tmp_path).read_bytes(), "cpu")
    assert refusal is not None
    assert "disabled fallback to the CPU EP" in refusal


def test_a_machine_without_a_gpu(uncached: pytest.MonkeyPatch) -> None:
    """All libraries exist, as in a container; running the model of one node fails."""
    uncached.setattr("zoo.runtime.providers.ctypes.CDLL", lambda *_, **__: None)
    uncached.setattr(ort, "InferenceSession", no_device)
    assert providers.unavailable("cuda") == "CUDA failure 100: no CUDA-capable device is detected"


def test_a_build_without_cuda(uncached: pytest.MonkeyPatch) -> None:
    uncached.setattr(ort, "get_available_providers", lambda: [CPU])
    assert providers.unavailable("cuda") == (
        f"this build of ONNX Runtime has no {CUDA}; install onnxruntime-gpu in place of onnxruntime"
    )
    assert providers.unavailable("cpu") is None


def test_the_model_of_one_node_runs_on_the_cpu() -> None:
    assert providers._start_fault("cpu") is None


def test_placement_names_every_node(tmp_path: Path) -> None:
    placement = OnnxSession(write(make_model("lstm"), tmp_path)).placement()
    assert PlacedNode("layer_0/lstm", "LSTM", CPU) in placement
    assert {node.provider for node in placement} == {CPU}


# --- the format of a file -------------------------------------------------------------------------------------------


def test_the_flatbuffer_format_of_onnx_runtime_is_never_read(tmp_path: Path) -> None:
    """No check here parses it; by default ONNX Runtime recognises it by bytes 4 to 7, from 0."""
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
    """Except in the script that bisect writes, which does not import zoo."""
    root = Path(zoo.__file__).parent
    makers = {str(path.relative_to(root)) for path in root.rglob("*.py") if ".SessionOptions(" in path.read_text()}
    assert makers == {"runtime/providers.py", "bisect/folder.py"}
    assert providers.session_options().get_session_config_entry("session.load_model_format") == "ONNX"
