"""The installed package: names, typing marker, entry points, and a command line that starts fast."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT
from zoo.cli.main import COMMANDS

TOP_LEVEL = {"zoo", "zoo_rnn", "zoo_lstm", "zoo_gru", "zoo_bilstm", "zoo_onnx"}


STARTERS = {path.name for path in ROOT.glob("specs/*.yaml")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built with the installed backend, so that no network is needed."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_has_clean_top_level_names(wheel: zipfile.ZipFile) -> None:
    names = {name.partition("/")[0] for name in wheel.namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == TOP_LEVEL


def test_wheel_holds_typing_marker_licence_and_no_tests(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "zoo/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(re.search(r"(^|/)(tests/|test_|conftest)", name) for name in names)


def test_wheel_holds_the_starter_specs_and_no_others(wheel: zipfile.ZipFile) -> None:
    folder = "zoo/starter_specs/"
    packed = {name.removeprefix(folder): wheel.read(name) for name in wheel.namelist() if name.startswith(folder)}
    assert packed == {name: (ROOT / "specs" / name).read_bytes() for name in STARTERS}
    assert not any(name.endswith(".yaml") for name in wheel.namelist() if not name.startswith(folder))


@pytest.fixture(scope="module")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Function that runs a command of the unpacked wheel outside the repository and returns what it printed."""
    site, here = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("here")
    wheel.extractall(site)

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "zoo", *arguments]
        process = subprocess.run(
            command, capture_output=True, text=True, cwd=here, env={**os.environ, "PYTHONPATH": str(site)}, check=False
        )
        assert process.returncode == 0, process.stderr
        return f"{process.stderr}{process.stdout}".replace(str(site), "SITE")

    return run


def test_the_first_lines_of_help_work_from_a_wheel(installed: Callable[..., str]) -> None:
    """The starter spec that the help names is in the wheel."""
    (first,) = re.findall(r"Start with: +zoo (build \w+) ", installed("--help"))
    printed = installed(*first.split(), "--set", "training.epochs=1")
    assert printed.startswith(f"{first.split()[1]}: the starter spec SITE/zoo/starter_specs/")
    assert "test loss" in printed
    assert "next: zoo export --onnx runs/" in printed


def test_init_writes_the_starter_specs_from_a_wheel(installed: Callable[..., str]) -> None:
    printed = installed("init")
    assert {Path(line).name for line in printed.splitlines() if line.startswith("specs/")} == STARTERS
    listed = json.loads(installed("list", "--json"))["specs"]
    assert {Path(spec["path"]).parent.as_posix() for spec in listed} == {"SITE/zoo/starter_specs", "specs"}


def test_wheel_has_entry_points(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(name).decode()
    installed = {point.name for point in metadata.entry_points(group="zoo")}
    assert {"rnn", "lstm", "gru", "bilstm", "exporter.onnx"} <= installed
    for point in ("rnn = zoo_rnn", "bilstm = zoo_bilstm", "exporter.onnx = zoo_onnx", "zoo = zoo.cli.main:main"):
        assert point in text


UNPINNED = ("setuptools", "triton", "nvidia-", "cuda-")
"""Beginnings of names: setuptools is a part of the environment, as pip is, and ``pip freeze`` leaves it out; the others
come with torch's build for CUDA alone, each in the version that this build requires."""


def requirements() -> set[str]:
    """Return the canonical names of all packages that the project and its tests require here, directly or not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    texts = [*project["dependencies"], *extras["test"], *extras["dev"], *extras["subwords"]]
    names = {"recurrent-zoo"}  # which the extras dev and test require
    while texts:
        requirement = Requirement(texts.pop())
        name = canonicalize_name(requirement.name)
        needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if needed and name not in names and not name.startswith(UNPINNED):
            assert not requirement.extras, f"{requirement}: has extras, which this does not follow"
            names.add(name)
            texts += metadata.requires(name) or []
    return names - {"recurrent-zoo"}


def test_constraints_pin_every_dependency_and_nothing_else() -> None:
    """At the installed version, directly required or not; and ONNX Runtime's CPU build, for README.md's install."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line.partition("==") for line in lines if "==" in line]
    pins: dict[str, str] = {canonicalize_name(name): version for name, _, version in pinned}
    required = requirements()
    assert len(required) > 50
    assert pins.pop("onnxruntime") == pins["onnxruntime-gpu"]
    assert pins == {name: metadata.version(name).partition("+")[0] for name in required}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["list"], ["list", "--json"], ["buld"]])
def test_light_commands_never_import_torch(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from zoo.cli.main import main\n"
        f"sys.argv = ['zoo', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'onnxruntime', 'onnx', 'sklearn', 'matplotlib', 'polars', 'pydantic', 'rich'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_no_help_and_no_completion_imports_torch() -> None:
    """For every command, in one process, in which no heavy package may be imported at any time."""
    code = (
        "import os, sys\n"
        "from zoo.cli.main import COMMANDS, main\n"
        "heavy = ['torch', 'numpy', 'onnxruntime', 'onnx', 'sklearn', 'matplotlib', 'pydantic', 'pluggy', 'rich']\n"
        "def run(*arguments):\n"
        "    sys.argv = ['zoo', *arguments]\n"
        "    try:\n        main()\n    except SystemExit as left:\n        assert not left.code, (arguments, left)\n"
        "    if imported := [name for name in heavy if name in sys.modules]:\n"
        "        sys.exit(f'{arguments} {os.environ.get(\"COMP_WORDS\")}: imported {imported}')\n"
        "for name in COMMANDS:\n    run(name, '--help')\n"
        "os.environ['_ZOO_COMPLETE'] = 'bash_complete'\n"
        "for words, number in [('zoo ', 1), *((f'zoo {name} --', 2) for name in COMMANDS)]:\n"
        "    os.environ |= {'COMP_WORDS': words, 'COMP_CWORD': str(number)}\n"
        "    run()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert f"Usage: zoo {name} " in done.stdout
    assert "plain,build" in done.stdout
    assert done.stdout.count("plain,--json") == len(COMMANDS)


def test_public_names_are_all_there() -> None:
    import zoo

    for name in zoo.__all__:
        assert getattr(zoo, name) is not None
    assert set(zoo.__all__) <= set(dir(zoo))
    with pytest.raises(AttributeError, match="nonsense"):
        zoo.nonsense  # noqa: B018
