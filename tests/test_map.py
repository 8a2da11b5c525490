"""The map in CONTRIBUTING.md against the tree and the import contracts."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """The text of a section, up to the next heading."""
    return PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(text: str) -> list[str]:
    """The first cell of each row of a table, without its heading."""
    return re.findall(r"^\| `?([^|`]+?)`? \|", text, re.MULTILINE)[1:]


def test_the_map_has_every_room_once() -> None:
    packages = [path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "zoo").rglob("__init__.py")]
    assert sorted(first_cells(section("The rooms"))) == sorted(packages)


def test_the_map_and_the_contract_have_one_order() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [layer.replace(".", "/").split(" | ") for layer in contracts[0]["layers"]]
    rooms = [room for layer in layers for room in layer if (ROOT / room).is_dir()]
    assert [room for room in first_cells(section("The rooms")) if room in rooms] == rooms


@pytest.mark.parametrize("room", [room for room in first_cells(section("The rooms")) if room != "zoo"])
def test_a_room_states_its_purpose_and_its_imports(room: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text(encoding="utf-8")))
    assert docstring is not None
    assert re.search(r"\bimport(s|ed)?\b", docstring.partition("\n")[2], re.IGNORECASE)


@pytest.mark.parametrize("heading", ["One spec through the house", "One export", "One prediction"])
def test_a_path_has_ten_steps(heading: str) -> None:
    assert re.findall(r"^(\d+)\. ", section(heading), re.MULTILINE) == [str(number) for number in range(1, 11)]


def test_every_path_exists() -> None:
    """Beside whole paths the page has names of files in the exporter's folder and in the room that a row is about."""
    names = re.findall(r"`([\w./]+\.(?:py|md|toml|html|css))`", PAGE)
    names = [name for name in names if "NAME" not in name]
    assert len(names) > 80
    folders = [ROOT, ROOT / "exporters" / "zoo_onnx", *(ROOT / room for room in first_cells(section("The rooms")))]
    assert [name for name in names if not any((folder / name).is_file() for folder in folders)] == []


def test_ten_words() -> None:
    assert len(first_cells(section("Ten words"))) == 10
