"""The public names of the library: documented with every argument, and loaded on first use."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

import zoo

FUNCTIONS: dict[str, Callable[..., object]] = {
    "build": zoo.build,
    "load": zoo.load,
    "from_arrays": zoo.Dataset.from_arrays,
    **{
        f"Run.{name}": method for name, method in vars(zoo.Run).items() if inspect.isfunction(method) and name[0] != "_"
    },
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_every_argument_is_documented(function: Callable[..., object]) -> None:
    text = inspect.getdoc(function) or ""
    arguments = text.partition("Args:\n")[2].partition("\n\n")[0]
    documented = re.findall(r"^    (\w+):", arguments, re.MULTILINE)
    assert documented == [name for name in inspect.signature(function).parameters if name != "self"]
    assert "Returns:" in text or text.startswith("Return ")
    assert "Raises:" in text


@pytest.mark.parametrize("name", zoo.__all__)
def test_every_public_class_and_function_has_a_docstring(name: str) -> None:
    item = getattr(zoo, name)
    if inspect.isclass(item) or inspect.isfunction(item):
        assert item.__doc__


def test_the_methods_are_those_of_the_commands() -> None:
    assert {name for name in FUNCTIONS if name.startswith("Run.")} == {
        f"Run.{name}" for name in ("export", "check", "predict", "compare", "bench", "gates", "gradients")
    }


def test_importing_the_package_imports_nothing_heavy() -> None:
    """A name is loaded on first use; `zoo.load` alone needs torch."""
    code = "import sys, zoo; assert not {'torch', 'numpy', 'rich', 'pydantic'} & {*sys.modules}; zoo.load; import torch"
    subprocess.run([sys.executable, "-c", code], check=True)
