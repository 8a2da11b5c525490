"""YAML as a spec needs it: YAML 1.2 scalars, no duplicate keys, no tags, no alias bombs, and every value's place.

PyYAML parses (its safe composer builds no objects); this module turns the nodes into plain values. PyYAML's own
resolver follows YAML 1.1, where ``1e-3`` is a string and ``no`` is false, so scalars are resolved here by the core
schema of YAML 1.2 (section 10.3.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from zoo.errors import SpecError

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]
Path = tuple[str | int, ...]

MAX_BYTES = 100_000  # PyYAML takes about a second for so many
MAX_NODES = 10_000
MAX_DEPTH = 50
MAX_DIGITS = 30

_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_IN_PLAIN_WORDS = {
    "'\\t'": "a tab is not allowed here; indent with spaces",
    "mapping values are not": "': ' cannot stand here; check the indentation and the line above, or quote the text",
    "could not find expected ':'": "expected ': ' after a key",
    "expected <block end>": "does not fit the lines above; check the indentation",
    "but found another document": "a second document begins here; a spec is a single one",
    "unexpected end of stream": "the quote that began above is never closed",
    "<stream end>": "the file ends where ',' or a closing bracket was expected",
}
"""PyYAML's problems that come up most, by a part of them, and what to say instead."""


class Place(NamedTuple):
    """Where something stands. Sorts in the order of the file."""

    line: int
    """From 1; 0 for what does not stand in the file."""
    column: int
    """From 1, in characters; any number that puts what does not stand in the file in order."""
    source: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass
class Document:
    """A parsed file: its value and, for every path in it, where that value stands."""

    value: Value
    places: dict[Path, Place] = field(default_factory=dict)
    """The place of a mapping's entry is that of its key."""

    def place(self, path: Path) -> Place:
        """Where ``path`` stands, or the nearest thing around it that is there."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]


def parse(text: str | bytes, source: str) -> Document:
    """Parse one YAML document.

    Raises:
        SpecError: with ``source:line:column`` and what to do.
    """
    if len(text) > MAX_BYTES:
        raise SpecError(f"{source}: is longer than {MAX_BYTES:,} bytes, the most that a spec may have")
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
    except (OverflowError, ValueError) as error:  # PyYAML gives the number of an escape to chr() as it is
        place = _place(loader.get_mark(), source)
        raise SpecError(f"{place}: an escape \\U must name a character, 0010ffff at most") from error
    except RecursionError as error:
        raise SpecError(f"{source}: is nested too deeply; a spec has at most {MAX_DEPTH} levels") from error
    if node is None:
        return Document(None, {(): Place(1, 1, source)})
    reader = _Reader(source)
    return Document(reader.read(node, ()), reader.places)


def dump(value: Value) -> str:
    """YAML text that `parse` reads as ``value``."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _decode(text: bytes, source: str) -> str:
    text = text.removeprefix(b"\xef\xbb\xbf")  # the mark that some editors put before UTF-8
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        place = _place_of(text[: error.start].decode(), source)
        raise SpecError(
            f"{place}: the byte 0x{text[error.start]:02x} is not UTF-8 text; save the spec as UTF-8"
        ) from error


def _place_of(before: str, source: str) -> Place:
    """The place of what follows ``before``."""
    return Place(before.count("\n") + 1, len(before) - before.rfind("\n"), source)


def _place(mark: yaml.Mark, source: str) -> Place:
    return Place(mark.line + 1, mark.column + 1, source)


def _syntax_fault(error: yaml.MarkedYAMLError, source: str) -> str:
    mark = error.problem_mark or error.context_mark
    assert mark is not None  # the scanner, the parser and the composer always say where they are
    problem = error.problem or ""
    words = next((words for part, words in _IN_PLAIN_WORDS.items() if part in problem), f"is not YAML: {problem}")
    return f"{_place(mark, source)}: {words}"


class _Loader(yaml.SafeLoader):
    """Composes nodes, and refuses tags: what a scalar means follows from how it is written."""

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
    """Writes what PyYAML's own dumper writes, except for strings that would not be read back as they were."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # PyYAML loses these line breaks in a single-quoted string.
    style = '"' if re.search("[\x85\u2028\u2029]", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)
# What YAML 1.2 alone reads as a number needs quotes too, such as 1e-3.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(rf"({_INT.pattern}|{_FLOAT.pattern})\Z"), list("+-.0123456789")
)


class _Reader:
    """Turns nodes into values, counting so that aliases cannot blow up."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[Path, Place] = {}
        self.nodes = 0

    def read(self, node: yaml.Node, path: Path, key: yaml.Node | None = None) -> Value:
        self.places[path] = _place((key or node).start_mark, self.source)
        self.nodes += 1
        if self.nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise self.fault(node, f"too much in one spec; with aliases at most {MAX_NODES:,} values, {MAX_DEPTH} deep")
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
                raise self.fault(key_node, f"duplicate key {key!r}; it also stands at {self.places[(*path, key)]}")
            result[key] = self.read(value_node, (*path, key), key_node)
        return result

    def scalar(self, node: yaml.ScalarNode) -> Value:
        """The value of a scalar by the core schema; a quoted one and a block of text are strings."""
        text = self.text(node)
        if node.style is not None:
            return text
        if _NULL.fullmatch(text):
            return None
        if _BOOL.fullmatch(text):
            return text.lower() == "true"
        if _INT.fullmatch(text):
            if (digits := len(text.lstrip("+-"))) > MAX_DIGITS:
                raise self.fault(node, f"a number of {digits} digits; no field takes one so large")
            return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        if _NOT_FINITE.fullmatch(text):
            return float(text.replace(".", ""))
        return text

    def text(self, node: yaml.ScalarNode) -> str:
        text: str = node.value
        if _SURROGATE.search(text):
            raise self.fault(node, "an escape \\u that is half a character; write the character itself")
        return text

    def fault(self, node: yaml.Node, text: str) -> SpecError:
        return SpecError(f"{_place(node.start_mark, self.source)}: {text}")
