"""The public names of the library: documented with every argument, and loaded on first use."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

import zoo
from tests.support.api_page import (
    GROUPS,
    PAGE,
    WITH_METHODS,
    docstring_of,
    item_of,
    methods,
    public_names,
    render,
)

FUNCTIONS: dict[str, Callable[..., object]] = {
    "build": zoo.build,
    "load": zoo.load,
    "from_arrays": zoo.Dataset.from_arrays,
    **{
        f"Run.{name}": method for name, method in vars(zoo.Run).items() if inspect.isfunction(method) and name[0] != "_"
    },
}


def documented_arguments(docstring: str) -> list[str]:
    """The names below ``Args:``."""
    return re.findall(r"^    (\w+):", docstring.partition("Args:\n")[2].partition("\n\n")[0], re.MULTILINE)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_every_argument_is_documented(function: Callable[..., object]) -> None:
    text = inspect.getdoc(function) or ""
    assert documented_arguments(text) == [name for name in inspect.signature(function).parameters if name != "self"]
    assert "Returns:" in text or text.startswith("Return ")
    assert "Raises:" in text


def test_the_page_has_every_public_name_in_one_group() -> None:
    names = [name for _, group in GROUPS.values() for name in group]
    assert sorted(names) == sorted(public_names())


@pytest.mark.parametrize("name", sorted(public_names()))
def test_every_public_name_is_documented(name: str) -> None:
    """A function with each of its arguments, and its errors where it raises any itself."""
    text, item = docstring_of(name), item_of(name)
    assert text
    if name in WITH_METHODS:
        assert all(methods(name).values())
    if inspect.isfunction(item):
        assert documented_arguments(text) == list(inspect.signature(item).parameters)
        raises = any(isinstance(node, ast.Raise) for node in ast.walk(ast.parse(inspect.getsource(item))))
        assert "Raises:" in text or not raises


def test_the_page_is_that_of_the_docstrings() -> None:
    """``python -m tests.support.api_page`` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == render()


def test_the_methods_are_those_of_the_commands() -> None:
    assert {name for name in FUNCTIONS if name.startswith("Run.")} == {
        f"Run.{name}" for name in ("export", "check", "predict", "compare", "bench", "gates", "gradients")
    }


def test_importing_the_package_imports_nothing_heavy() -> None:
    """A name is loaded on first use; `zoo.load` alone needs torch."""
    code = "import sys, zoo; assert not {'torch', 'numpy', 'rich', 'pydantic'} & {*sys.modules}; zoo.load; import torch"
    subprocess.run([sys.executable, "-c", code], check=True)
