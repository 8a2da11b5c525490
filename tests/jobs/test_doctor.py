"""Faults of a machine that `zoo doctor` reports; the command itself is tested in tests/cli/test_predict.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.support.command import run_zoo
from zoo.jobs import doctor
from zoo.jobs.doctor import _cudnn_major, mismatches
from zoo.runtime.cuda_libraries import DRIVER, INSTALL, NO_DRIVER

FINE: dict[str, Any] = {"onnxruntime_for": "13.0", "torch_for": "13.2", "torch_cudnn": 9}


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({}, 0),
        ({"torch_for": None, "torch_cudnn": None}, 0),
        ({"onnxruntime_for": None}, 0),
        ({"torch_for": "12.8"}, 1),
        ({"torch_for": "12.8", "torch_cudnn": 8}, 2),
    ],
)
def test_different_major_versions_are_faults(change: dict[str, Any], faults: int) -> None:
    lines = mismatches({**FINE, **change})
    assert len(lines) == faults
    assert all("install a" in line for line in lines)


@pytest.mark.parametrize(("version", "major"), [(8902, 8), (90100, 9), (91002, 9), (100000, 10)])
def test_the_major_version_of_cudnn(version: int, major: int) -> None:
    assert _cudnn_major(version) == major


def test_missing_libraries_are_a_fault_only_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"libcublas.so.13": "nvidia-cublas", "libcudnn.so.9": "nvidia-cudnn-cu13"}
    monkeypatch.setattr(doctor, "missing_libraries", lambda _: missing)
    monkeypatch.setattr(doctor, "unavailable", lambda _: "libcublas.so.13 not found, and 1 more")
    assert doctor._installation_faults() == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert doctor._installation_faults() == [
        "torch finds a GPU and ONNX Runtime cannot use it: libcublas.so.13 (nvidia-cublas), libcudnn.so.9 "
        '(nvidia-cudnn-cu13); pip install "onnxruntime-gpu[cuda,cudnn]"'
    ]
    monkeypatch.setattr(doctor, "missing_libraries", lambda _: {})
    monkeypatch.setattr(doctor, "unavailable", lambda _: "the driver is too old")
    assert doctor._installation_faults() == ["torch finds a GPU and ONNX Runtime cannot use it: the driver is too old"]


def test_the_command_lists_missing_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "missing_libraries", lambda _: {"libcurand.so.10": "nvidia-curand"})
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    lines = [" ".join(line.split()) for line in run_zoo("doctor").stdout.splitlines()]
    assert "missing libcurand.so.10 nvidia-curand" in lines
    assert f"CUDA would need {INSTALL}" in lines
    assert "TF32 override NVIDIA_TF32_OVERRIDE=0: no TF32 anywhere" in lines


def test_a_missing_driver_recommends_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "missing_libraries", lambda _: {"libcuda.so.1": DRIVER})
    outcome = run_zoo("doctor")
    lines = [" ".join(line.split()) for line in outcome.stdout.splitlines()]
    assert "missing libcuda.so.1 NVIDIA's driver" in lines
    assert f"CUDA would need {NO_DRIVER}" in lines
    assert "pip install" not in outcome.stdout
