"""The strict YAML reader: values, rejected documents, and the reported places of faults."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import SpecError
from zoo.spec.strict_yaml import MAX_BYTES, MAX_DEPTH, MAX_DIGITS, Value, dump, parse


def read(text: str | bytes) -> Value:
    return parse(text, "s.yaml").value


def fault(text: str | bytes) -> str:
    """Return the one line of the error that parsing the text raises."""
    with pytest.raises(SpecError) as caught:
        parse(text, "s.yaml")
    (line,) = caught.value.faults
    assert "\n" not in line
    return line


# YAML 1.2.2, section 10.3.2, and notations that YAML 1.1 (and PyYAML) reads as other values.
SCALARS: list[tuple[str, Value]] = [
    ("1e-3", 0.001),
    ("1E3", 1000.0),
    ("1.", 1.0),
    (".5", 0.5),
    ("-.5e+1", -5.0),
    ("0o17", 15),
    ("0x1f", 31),
    ("017", 17),
    ("+7", 7),
    ("-0", 0),
    ("1_000", "1_000"),
    ("1:30", "1:30"),
    ("0b11", "0b11"),
    ("-0x1f", "-0x1f"),
    ("2020-01-01", "2020-01-01"),
    ("1.2.3", "1.2.3"),
    ("no", "no"),
    ("Yes", "Yes"),
    ("on", "on"),
    ("y", "y"),
    ("true", True),
    ("FALSE", False),
    ("tRue", "tRue"),
    ("null", None),
    ("~", None),
    ("", None),
    ("nil", "nil"),
    (".inf", math.inf),
    ("-.INF", -math.inf),
    ("inf", "inf"),
    ("nan", "nan"),
    ("<<", "<<"),
    ("=", "="),
    ("'1e-3'", "1e-3"),
    ('"true"', "true"),
    ("|\n  5\n", "5\n"),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars_follow_yaml_1_2(text: str, value: Value) -> None:
    result = read(f"key: {text}")
    assert result == {"key": value}
    assert isinstance(result, dict)
    assert type(result["key"]) is type(value)  # 1 == 1.0 == True


def test_nan_is_read() -> None:
    result = read("[.nan, .NaN]")
    assert isinstance(result, list)
    assert all(isinstance(value, float) and math.isnan(value) for value in result)


def test_keys_are_strings_as_written() -> None:
    assert read("{1: a, no: b, null: c, 'q': d, 1e-3: e}") == {"1": "a", "no": "b", "null": "c", "q": "d", "1e-3": "e"}


def test_aliases_and_merge_keys() -> None:
    assert read("a: &x {b: 1}\nc: *x") == {"a": {"b": 1}, "c": {"b": 1}}
    assert read("a: &x {b: 1}\nc:\n  <<: *x") == {"a": {"b": 1}, "c": {"<<": {"b": 1}}}, "YAML 1.2 has no merge key"


@pytest.mark.parametrize("text", ["", "\n\n", "# a comment\n", "---\n", "---\n...\n"])
def test_an_empty_document_is_none(text: str) -> None:
    document = parse(text, "s.yaml")
    assert document.value is None
    assert str(document.place(("any",))).startswith("s.yaml:")


def test_byte_order_mark_and_line_endings() -> None:
    document = parse("\ufeffa: 1\r\nb: ü\r\n".encode(), "s.yaml")
    assert document.value == {"a": 1, "b": "ü"}
    assert str(document.place(("a",))) == "s.yaml:1:1"
    assert str(document.place(("b",))) == "s.yaml:2:1"


def test_places() -> None:
    document = parse("# comment\na: 1\nb:\n  - 5\n  - {c: 6, ü: 7}\n'q r': 8\n", "s.yaml")
    expected = {
        (): "2:1",
        ("a",): "2:1",
        ("b",): "3:1",
        ("b", 0): "4:5",
        ("b", 1): "5:5",
        ("b", 1, "c"): "5:6",
        ("b", 1, "ü"): "5:12",
        ("q r",): "6:1",
    }
    assert {path: str(place) for path, place in document.places.items()} == {
        path: f"s.yaml:{place}" for path, place in expected.items()
    }
    assert str(document.place(("b", 1, "absent", "deeper"))) == "s.yaml:5:5", "the nearest enclosing value"


def test_values_of_an_alias_have_the_place_of_their_anchor() -> None:
    document = parse("a: &x {b: 1}\nc: *x\n", "s.yaml")
    assert str(document.place(("c",))) == "s.yaml:2:1"
    assert str(document.place(("c", "b"))) == "s.yaml:1:8"


REFUSED: list[tuple[str | bytes, str]] = [
    # the same key twice, also in different notations
    ("a: 1\nb: 2\na: 3", "s.yaml:3:1: duplicate key 'a'; first defined at s.yaml:1:1"),
    ("x: {a: 1, 'a': 2}", "s.yaml:1:11: duplicate key 'a'; first defined at s.yaml:1:5"),
    ('"a": 1\n"\\x61": 2', "s.yaml:2:1: duplicate key 'a'; first defined at s.yaml:1:1"),
    # keys
    ("[a]: 1", "s.yaml:1:1: a key must be a plain word"),
    ("? {a: 1}\n: 2", "s.yaml:1:3: a key must be a plain word"),
    # tabs
    ("a:\n\tb: 1", "s.yaml:2:1: a tab is not allowed here; indent with spaces"),
    ("a:\n  b: 1\n\tc: 2", "s.yaml:3:1: a tab is not allowed here; indent with spaces"),
    # tags
    ("a: !!python/object:os.system {}", "s.yaml:1:4: the tag 'tag:yaml.org,2002:python/object:os.system'"),
    ("a: !!python/object/apply:os.system ['true']", "s.yaml:1:4: the tag"),
    ("!!python/name:os.system a: 1", "s.yaml:1:1: the tag"),
    ("a: !!str 5", "s.yaml:1:4: the tag 'tag:yaml.org,2002:str' is not allowed"),
    ("a: !!binary aGVsbG8=", "s.yaml:1:4: the tag"),
    ("a: !mine [1]", "s.yaml:1:4: the tag '!mine' is not allowed"),
    ("a: ! b", "s.yaml:1:4: the tag '!' is not allowed"),
    ("!!set {a, b}", "s.yaml:1:1: the tag"),
    ("%TAG ! tag:x,2000:\n---\na: !b 1", "s.yaml:3:4: the tag 'tag:x,2000:b'"),
    ("a: !<tag:yaml.org,2002:int> 5", "s.yaml:1:4: the tag"),
    # aliases
    ("a: *absent", "s.yaml:1:4: is not YAML: found undefined alias 'absent'"),
    (
        "a: &a [*a]",
        f"s.yaml:1:4: too large: a spec has at most 10,000 values, aliases expanded, and {MAX_DEPTH} levels",
    ),
    ("a: &a {b: *a}", "s.yaml:1:4: too large: a spec has at most"),
    # depth
    ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "too large: a spec has at most"),
    ("[" * 20_000, "s.yaml: is nested too deeply"),
    ("- " * 20_000, "s.yaml: is nested too deeply"),
    # structure
    ("a: 1\n---\nb: 2", "s.yaml:2:1: a second document begins here"),
    ("a: b: c", "s.yaml:1:5: ': ' is not allowed here"),
    ("a: 1\n  b: 2", "s.yaml:2:4: ': ' is not allowed here"),
    ("a: 1\nb\nc: 2", "s.yaml:3:1: expected ': ' after a key"),
    ("a:\n    b: 1\n  c: 2", "s.yaml:3:3: does not fit the lines above; check the indentation"),
    ("a: {b: 1", "s.yaml:1:9: the file ends where ',' or a closing bracket was expected"),
    ('a: "b', "s.yaml:1:6: the quote that began above is never closed"),
    ("a: @b", "s.yaml:1:4: is not YAML: found character '@' that cannot start any token"),
    ("%YAML 2.0\n---\na: 1", "s.yaml:1:1: is not YAML: found incompatible YAML document"),
    # not text
    (b"a: \xff", "s.yaml:1:4: the byte 0xff is not UTF-8 text; save the spec as UTF-8"),
    ("a: 1\nb: ü".encode("latin-1"), "s.yaml:2:4: the byte 0xfc is not UTF-8 text"),
    ("a: 1".encode("utf-16"), "s.yaml:1:1: the byte 0xff is not UTF-8 text"),
    (b"\x89PNG\r\n\x1a\n\x00\x00", "s.yaml:1:1: the byte 0x89 is not UTF-8 text"),
    (b"PK\x03\x04", "s.yaml:1:3: the character '\\x03' is not text"),
    ("a: 1\nb: \x00", "s.yaml:2:4: the character '\\x00' is not text"),
    ('a: "\\ud800"', "s.yaml:1:4: an escape \\u that is half of a surrogate pair"),
    ('"\\udfff": 1', "s.yaml:1:1: an escape \\u that is half of a surrogate pair"),
    ('a: "\\UFFFFFFFF"', "an escape \\U must name a character"),
    ('a: "\\U00110000"', "an escape \\U must name a character"),
    # size
    (f"a: {'9' * (MAX_DIGITS + 1)}", f"s.yaml:1:4: a number of {MAX_DIGITS + 1} digits"),
    ("a" * (MAX_BYTES + 1), f"s.yaml: is longer than {MAX_BYTES:,} bytes"),
    ("[" + "1," * 10_001 + "]", "too large: a spec has at most"),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED, ids=range(len(REFUSED)))
def test_refused_with_place_and_reason(text: str | bytes, expected: str) -> None:
    line = fault(text)
    assert expected in line
    assert line.startswith("s.yaml:")


def test_alias_bomb_is_rejected_before_it_is_expanded() -> None:
    """Ten levels of ten aliases are 10^10 values when expanded, too many for the memory."""
    levels = ["l0: &l0 [x]"] + [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 11)]
    assert "too large: a spec has at most 10,000 values" in fault("\n".join(levels))


@pytest.mark.parametrize("digits", ["9" * MAX_DIGITS, "-" + "9" * (MAX_DIGITS - 1), "0x" + "f" * (MAX_DIGITS - 2)])
def test_the_largest_integers_are_exact(digits: str) -> None:
    assert read(digits) == int(digits, 0)


def values(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Value]:
    """Any nested value of a YAML document except NaN, which is not equal to itself."""
    largest = 10**MAX_DIGITS - 1
    plain = st.none() | st.booleans() | st.integers(-largest, largest) | st.floats(allow_nan=False) | texts
    return st.recursive(
        plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=15
    )


@settings(deadline=None)
@given(values(st.text() | st.from_regex(r"\A([-+]?[0-9.]+(e[-+]?[0-9]+)?|0[ox][0-9a-f]+|no|null|~|<<|=)\Z")))
def test_a_dumped_value_reads_back_equal(value: Value) -> None:
    assert _typed(read(dump(value))) == _typed(value)


@pytest.mark.parametrize(
    "text", ["1e-3", "0o17", ".5e3", "+1e5", "a\x85b", "\u2028", "a\u2029 b", "ü", "no", "", "\n\n"]
)
def test_strings_that_need_quotes_get_them(text: str) -> None:
    assert read(dump({text: [text]})) == {text: [text]}
    assert "ü" in dump("ü"), "printable text stays unescaped"


@settings(deadline=None)
# PyYAML writes a string such as '1e-3' without quotes, so that it cannot be distinguished from the number.
@given(values(st.text().filter(lambda text: text[:1] not in set("+-.0123456789"))), st.booleans())
def test_a_value_dumped_by_pyyaml_reads_back_equal(value: Value, flow: bool) -> None:
    assert _typed(read(yaml.safe_dump(value, default_flow_style=flow))) == _typed(value)


def _typed(value: Value) -> object:
    """The value with the type of each leaf: in Python 1, 1.0 and True are equal, and so are 0.0 and -0.0."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return type(value), repr(value)


WORDS = ["a", "b: ", "- ", "  ", "&x ", "*x", "!!str ", "---\n", "...", "\\u", "d800", "1e9", "<<: "]
MARKS = "{}[],\n\t#!|>'\"?:%@`\\\x00\x85\u2028\ufeff"


@settings(deadline=None, max_examples=500)
# With surrogates: Python decodes an argument of the command line that is not UTF-8 to them.
@given(st.lists(st.sampled_from([*WORDS, *MARKS]), max_size=40).map("".join) | st.text(st.characters()) | st.binary())
def test_any_text_gives_a_document_or_a_spec_error(text: str | bytes) -> None:
    faults: tuple[str, ...] = ()
    try:
        parse(text, "s.yaml")
    except SpecError as error:
        faults = error.faults
    assert all(line.startswith("s.yaml") and len(line.splitlines()) == 1 for line in faults)
