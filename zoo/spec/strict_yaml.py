"""Strict YAML reader: YAML 1.2 scalars, no duplicate keys, no tags, bounded aliases, and the place of every value.

PyYAML parses the text into nodes (its safe composer builds no objects); this module turns the nodes into plain values.
PyYAML's own resolver follows YAML 1.1, where ``1e-3`` is a string and ``no`` is false, so scalars are resolved here by
the core schema of YAML 1.2 (section 10.3.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from zoo.errors import SpecError

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]
Path = tuple[str | int, ...]

MAX_BYTES = 100_000  # PyYAML parses these in about a second
MAX_NODES = 10_000
MAX_DEPTH = 50
MAX_DIGITS = 30

_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_MESSAGES = {
    "'\\t'": "a tab is not allowed here; indent with spaces",
    "mapping values are not": "': ' is not allowed here; check the indentation and the line above, or quote the text",
    "could not find expected ':'": "expected ': ' after a key",
    "expected <block end>": "does not fit the lines above; check the indentation",
    "but found another document": "a second document begins here; a spec has only one",
    "unexpected end of stream": "the quote that began above is never closed",
    "<stream end>": "the file ends where ',' or a closing bracket was expected",
}
"""By part of a frequent PyYAML problem: the message that replaces it."""


class Place(NamedTuple):
    """Position of a value in the file, or the override that set it; sorts in the order of the file."""

    line: int
    """Counted from 1; 0 for a value from outside the file."""
    column: int
    """In characters, counted from 1; for a value from outside the file its rank among those values."""
    source: str
    """Path of the file, or a description of the override."""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass
class Document:
    """A parsed file: its value, and the place of each nested value."""

    value: Value
    places: dict[Path, Place] = field(default_factory=dict)
    """By path; for an entry of a mapping the place of its key."""

    def place(self, path: Path) -> Place:
        """Return the place of ``path``, or of its nearest enclosing value where the file has no such path."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]


def parse(text: str | bytes, source: str) -> Document:
    """Parse one YAML document.

    Args:
        text: the content of the file; bytes must be UTF-8.
        source: the name of the file in messages.

    Raises:
        SpecError: the text is not a valid document; the message begins with ``source:line:column``.
    """
    if len(text) > MAX_BYTES:
        raise SpecError(f"{source}: is longer than {MAX_BYTES:,} bytes, the limit of a spec")
    characters = _decode(text, source) if isinstance(text, bytes) else text
    try:
        loader = _Loader(characters, source)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise SpecError(_syntax_fault(error, source)) from error
    except yaml.reader.ReaderError as error:
        place = _place_of(characters[: error.position], source)
        raise SpecError(
            f"{place}: the character {chr(error.character)!r} is not text; a spec is a text file"
        ) from error
    except (OverflowError, ValueError) as error:  # PyYAML passes the number of an escape to chr() unchecked
        place = _place(loader.get_mark(), source)
        raise SpecError(f"{place}: an escape \\U must name a character, 0010ffff at most") from error
    except RecursionError as error:
        raise SpecError(f"{source}: is nested too deeply; a spec has at most {MAX_DEPTH} levels") from error
    if node is None:
        return Document(None, {(): Place(1, 1, source)})
    reader = _Reader(source)
    return Document(reader.read(node, ()), reader.places)


def dump(value: Value) -> str:
    """Return YAML text that `parse` reads back as ``value``."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _decode(text: bytes, source: str) -> str:
    text = text.removeprefix(b"\xef\xbb\xbf")  # byte order mark
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        place = _place_of(text[: error.start].decode(), source)
        raise SpecError(
            f"{place}: the byte 0x{text[error.start]:02x} is not UTF-8 text; save the spec as UTF-8"
        ) from error


def _place_of(before: str, source: str) -> Place:
    """Return the place of the first character after the text ``before``."""
    return Place(before.count("\n") + 1, len(before) - before.rfind("\n"), source)


def _place(mark: yaml.Mark, source: str) -> Place:
    return Place(mark.line + 1, mark.column + 1, source)


def _syntax_fault(error: yaml.MarkedYAMLError, source: str) -> str:
    mark = error.problem_mark or error.context_mark
    assert mark is not None  # the scanner, the parser and the composer always set one
    problem = error.problem or ""
    message = next((message for part, message in _MESSAGES.items() if part in problem), f"is not YAML: {problem}")
    return f"{_place(mark, source)}: {message}"


class _Loader(yaml.SafeLoader):
    """Composes nodes and rejects tags: the type of a scalar follows from its notation alone."""

    def __init__(self, text: str, source: str) -> None:
        super().__init__(text)
        self.source = source

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if tag := getattr(event, "tag", None):
            place = _place(event.start_mark, self.source)
            raise SpecError(f"{place}: the tag {tag!r} is not allowed; a spec holds plain values only")
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    """PyYAML's dumper, with quotes around the strings that would otherwise be read back as another value."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # PyYAML drops these line breaks in a single-quoted string.
    style = '"' if re.search("[\x85\u2028\u2029]", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)
# Strings such as 1e-3, which are numbers in YAML 1.2 but not in PyYAML's YAML 1.1, need quotes too.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(rf"({_INT.pattern}|{_FLOAT.pattern})\Z"), list("+-.0123456789")
)


class _Reader:
    """Turns nodes into values and limits their number and depth, so that nested aliases cannot exhaust the memory."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[Path, Place] = {}
        self.nodes = 0

    def read(self, node: yaml.Node, path: Path, key: yaml.Node | None = None) -> Value:
        self.places[path] = _place((key or node).start_mark, self.source)
        self.nodes += 1
        if self.nodes > MAX_NODES or len(path) > MAX_DEPTH:
            limits = f"{MAX_NODES:,} values, aliases expanded, and {MAX_DEPTH} levels"
            raise self.fault(node, f"too large: a spec has at most {limits}")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(child, (*path, index)) for index, child in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self.scalar(node)

    def mapping(self, node: yaml.MappingNode, path: Path) -> Value:
        result: dict[str, Value] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.fault(key_node, "a key must be a plain word")
            key = self.text(key_node)
            if key in result:
                raise self.fault(key_node, f"duplicate key {key!r}; first defined at {self.places[(*path, key)]}")
            result[key] = self.read(value_node, (*path, key), key_node)
        return result

    def scalar(self, node: yaml.ScalarNode) -> Value:
        """Return the value of a scalar by YAML 1.2's core schema; quoted scalars and block scalars are strings."""
        text = self.text(node)
        if node.style is not None:
            return text
        if _NULL.fullmatch(text):
            return None
        if _BOOL.fullmatch(text):
            return text.lower() == "true"
        if _INT.fullmatch(text):
            if (digits := len(text.lstrip("+-"))) > MAX_DIGITS:
                raise self.fault(node, f"a number of {digits} digits is too large for any field")
            return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        if _NOT_FINITE.fullmatch(text):
            return float(text.replace(".", ""))
        return text

    def text(self, node: yaml.ScalarNode) -> str:
        text: str = node.value
        if _SURROGATE.search(text):
            raise self.fault(node, "an escape \\u that is half of a surrogate pair; write the character itself")
        return text

    def fault(self, node: yaml.Node, text: str) -> SpecError:
        return SpecError(f"{_place(node.start_mark, self.source)}: {text}")
