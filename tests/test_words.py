"""Plain words: prose and names that send a reader to a dictionary of this project, where the field has words."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PROSE = re.compile(
    r"\b(told|tells?|telling|says?|said|saying|likewise|middling|somebody|anybody|nobody|everybody|whoever"
    r"|be off|(is|are) to be|hands? (on|out)|handed (on|out)|had from|nothing of)\b",
    re.IGNORECASE,
)
"""Write instead what happens: reports, states, shows, gives, contains; a user, a caller, a reader."""
NAMES = {"told", "tell", "said", "say", "says", "found", "known", "seen", "one", "some", "middling"}
"""Call a variable after the thing: result, report, expected, row, node."""
PARTS = {"told", "tell", "tells", "said", "say", "says", "seen", "middling"}
"""Not even as a part of a longer name."""
FIELDS = {("zoo/data/sources/series.py", "known")}
"""By file, fields of a spec that users know by this name."""

FOLDERS = ("zoo", "exporters", "plugins", "specs", "tests", ".")
SUFFIXES = (".py", ".md", ".yaml", ".html")


def files(folder: str) -> list[Path]:
    """Return the files of a folder, of ``.`` without those of its folders, that contain prose or names."""
    paths = ROOT.iterdir() if folder == "." else (ROOT / folder).rglob("*")
    return sorted(path for path in paths if path.suffix in SUFFIXES and path != Path(__file__))


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every name that a module binds, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of comments and texts of a module, and all lines of any other file, with their numbers."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield from enumerate(token.string.splitlines(), token.start[0])


@pytest.mark.parametrize("folder", FOLDERS)
def test_plain_words(folder: str) -> None:
    paths = files(folder)
    assert paths
    places = []
    for path in paths:
        place = path.relative_to(ROOT).as_posix()
        places += [f"{place}:{number}: {line.strip()}" for number, line in prose(path) if PROSE.search(line)]
        if path.suffix == ".py":
            bound = names(ast.parse(path.read_text(encoding="utf-8")))
            places += [f"{place}:{at}: {name}" for at, name in bound if is_vague(name) and (place, name) not in FIELDS]
    assert places == []


def is_vague(name: str) -> bool:
    """Return whether a name is that of no thing."""
    return name in NAMES or not PARTS.isdisjoint(name.lower().strip("_").split("_"))
