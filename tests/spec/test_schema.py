"""The JSON Schema of a spec: valid draft 7, and in agreement with the reader."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from tests.support.specs import ALL_SPECS, SMALLEST, fields, reader
from zoo.errors import SpecError
from zoo.plugins.registry import load_registry
from zoo.spec.strict_yaml import parse


@cache
def schema() -> dict[str, Any]:
    return reader().json_schema()


def accepts(value: object) -> bool:
    """Whether the value is valid under the JSON Schema."""
    return Draft7Validator(schema()).is_valid(value)


@pytest.mark.parametrize("path", ALL_SPECS, ids=lambda path: path.stem)
def test_the_schema_accepts_every_spec_of_the_repository(path: Path) -> None:
    assert accepts(fields(path.read_text(encoding="utf-8")))
    assert accepts(reader().read(path).to_dict()), "also with every default written out"


def test_the_schema_is_valid_draft_7() -> None:
    Draft7Validator.check_schema(schema())
    assert schema()["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_the_schema_uses_nothing_that_draft_7_lacks() -> None:
    text = json.dumps(schema())
    for keyword in ("$defs", "discriminator", "prefixItems", "unevaluatedProperties", "dependentRequired"):
        assert f'"{keyword}"' not in text
    references = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
    assert references
    assert all(reference.startswith("#/definitions/") for reference in references)
    assert all(reference.removeprefix("#/definitions/") in schema()["definitions"] for reference in references)


def test_unions_are_tagged_by_const() -> None:
    members = schema()["properties"]["architecture"]["oneOf"]
    tags = [
        schema()["definitions"][member["$ref"].rpartition("/")[2]]["properties"]["name"]["const"] for member in members
    ]
    assert tags == sorted(load_registry().architectures)


def test_fields_are_described() -> None:
    """Editors show the descriptions."""
    definitions = schema()["definitions"]
    assert definitions["gruConfig"]["properties"]["reset"]["description"].startswith(
        "Whether the reset gate acts after"
    )
    assert definitions["TrainingConfig"]["properties"]["clip_norm"]["description"].startswith("Largest norm")


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"name": "digit"}},
        {"data": None},
        {"architecture": {"name": "gru"}},
        {"architecture": {"name": "gru", "hidden_size": 0}},
        {"architecture": {"name": "gru", "hidden_size": True}},
        {"architecture": {"name": "gru", "hidden_size": "8"}},
        {"architecture": {"name": "lstm", "hidden_size": 8, "reset": "after"}},
        {"architecture": {"name": "gru", "hidden_size": 8, "dropout": 1}},
        {"training": {"epochs": 1.5}},
        {"training": {"optimizer": {"name": "adam", "momentum": 0.5}}},
        {"training": {"early_stopping": {}}},
        {"name": "../x"},
        {"extra": 1},
    ],
    ids=json.dumps,
)
def test_the_schema_and_the_reader_reject_the_same(change: dict[str, Any]) -> None:
    value = {**fields(SMALLEST), "name": "x"}
    assert accepts(value)
    assert not accepts(value | change)
    with pytest.raises(SpecError):
        reader().validate(parse(json.dumps(value | change), "s.yaml"))


def test_the_schema_requires_the_parts() -> None:
    for part in ("data", "architecture", "task"):
        assert not accepts({key: value for key, value in fields(SMALLEST).items() if key != part})
    assert accepts(fields(SMALLEST)), "the name may be left out"
