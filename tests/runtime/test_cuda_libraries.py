"""Missing libraries of CUDA, and the packages that contain them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.paths import ROOT
from zoo.runtime import cuda_libraries
from zoo.runtime.cuda_libraries import DRIVER, INSTALL, NO_DRIVER, missing_libraries, remedies, unresolved_libraries

LDD = """\
\tlinux-vdso.so.1 (0x00007ffd)
\tlibcublasLt.so.13 => not found
\tlibcublas.so.13 => not found
\tlibcudart.so.13 => /usr/lib/libcudart.so.13 (0x00007f)
\tlibcuda.so.1 => not found
\tlibwhat.so.1 => not found
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / cuda_libraries.CUDA_LIBRARY).write_bytes(b"")
    return tmp_path


def test_libraries_that_ldd_does_not_find() -> None:
    assert unresolved_libraries(LDD) == ["libcublasLt.so.13", "libcublas.so.13", "libcuda.so.1", "libwhat.so.1"]
    assert unresolved_libraries("\tnot a dynamic executable\n") == []


def test_each_missing_library_has_its_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries that another package has loaded are left out; cuDNN, which ldd does not list, is included."""
    monkeypatch.setattr(cuda_libraries, "_ldd", lambda _: LDD)
    monkeypatch.setattr(cuda_libraries, "_loads", lambda name: name == "libcublas.so.13")
    assert missing_libraries(folder) == {
        "libcublasLt.so.13": "nvidia-cublas",
        "libcuda.so.1": DRIVER,
        "libwhat.so.1": "?",
        "libcudnn.so.9": "nvidia-cudnn-cu13",
    }


@pytest.mark.parametrize(
    ("cuda", "packages"),
    [
        (12, ["nvidia-cublas-cu12", "nvidia-cublas-cu12", DRIVER, "?", "nvidia-cudnn-cu12"]),
        (13, ["nvidia-cublas", "nvidia-cublas", DRIVER, "?", "nvidia-cudnn-cu13"]),
    ],
)
def test_packages_match_the_linked_version_of_cuda(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cuda: int, packages: list[str]
) -> None:
    monkeypatch.setattr(cuda_libraries, "_ldd", lambda _: LDD.replace(".so.13", f".so.{cuda}"))
    monkeypatch.setattr(cuda_libraries, "_loads", lambda _: False)
    assert list(missing_libraries(folder).values()) == packages


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ({}, []),
        ({"libcuda.so.1": DRIVER}, [NO_DRIVER]),
        ({"libcufft.so.12": "nvidia-cufft"}, [INSTALL]),
        ({"libwhat.so.1": "?"}, [INSTALL]),
        ({"libcuda.so.1": DRIVER, "libcudnn.so.9": "nvidia-cudnn-cu13"}, [INSTALL, NO_DRIVER]),
    ],
)
def test_no_package_is_advised_for_the_driver(missing: dict[str, str], advice: list[str]) -> None:
    assert remedies(missing) == advice


def test_the_advised_install_is_a_requirement_of_the_project() -> None:
    """Not this project itself, which is in no index, and no extra that onnxruntime-gpu lacks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (cuda,) = project["optional-dependencies"]["cuda"]
    advised = Requirement(INSTALL.removeprefix("pip install ").strip('"'))
    assert (advised.name, advised.extras) == (Requirement(cuda).name, Requirement(cuda).extras)


def test_without_ldd_only_late_libraries_are_checked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(cuda_libraries, "_loads", lambda _: False)
    assert missing_libraries(folder) == {"libcudnn.so.9": "nvidia-cudnn-cu13"}


def test_a_build_without_cuda_lacks_nothing(tmp_path: Path) -> None:
    assert missing_libraries(tmp_path) == {}


def test_the_c_library_is_found() -> None:
    """With the real loader, which the other tests replace."""
    assert cuda_libraries._loads("libc.so.6")
    assert not cuda_libraries._loads("libmissing.so.1")
