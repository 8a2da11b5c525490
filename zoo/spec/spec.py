"""The spec of a model and its training: read from YAML, checked against the options of the installed plugins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path as FilePath
from pathlib import PurePath
from typing import Annotated, Any, Union, cast

from pydantic import Field, ValidationError, create_model

from zoo.config import Config
from zoo.errors import PluginError, SpecError, UsageError
from zoo.nn.encoder import EncoderConfig
from zoo.nn.recurrent import StackConfig
from zoo.plugins.architecture import Architecture, Named, named_config
from zoo.plugins.registry import Registry
from zoo.spec.faults import describe_faults, shorten, show
from zoo.spec.strict_yaml import MAX_BYTES, MAX_DEPTH, Document, Path, Place, Value, dump, parse
from zoo.training.config import TrainingConfig

_SHOWN = 100
"""Largest number of characters of an override that a message shows."""

Overrides = Mapping[str, Any] | Sequence[str]
"""Fields to set: ``{"training.epochs": 3}``, or ``["training.epochs=3"]`` with values in YAML."""

RunName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Spec(Config):
    """A complete spec: data, encoder, architecture, task and training.

    The options of ``data``, ``architecture`` and ``task`` depend on the ``name`` in each of them.
    """

    name: RunName
    """Name of the run's folder; the file's name when left out."""
    description: str = ""
    """A sentence for the model card."""
    data: Config
    encoder: EncoderConfig | None = None
    """Turns the numbers or tokens of a step into a vector; chosen by the kind of data when left out."""
    architecture: StackConfig
    task: Config
    training: TrainingConfig = TrainingConfig()

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain JSON values, with every default."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """Return the spec as YAML text that reads back as an equal spec."""
        return dump(self.to_dict())


def part_name(part: Config) -> str:
    """Return the ``name`` of a part of a spec: ``lstm`` of an architecture, ``digits`` of data."""
    return cast("Named", part).name


def load_document(path: FilePath, overrides: Overrides = ()) -> Document:
    """Read the fields of a spec file and apply overrides; `SpecReader.validate` checks the result.

    Args:
        path: the YAML file.
        overrides: the fields to set; later ones win.

    Returns:
        A document whose value is a mapping with a ``name``; the file's name where the file gives none.

    Raises:
        SpecError: the file, or the value of an override, is not valid YAML, or the file holds no mapping.
        UsageError: the file cannot be read, or an override has another form.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        fault = getattr(error, "strerror", None) or error
        close = get_close_matches(path.name, _specs_beside(path), 1)
        hint = f"did you mean {path.parent / close[0]}?" if close else "give the path of a spec"
        raise UsageError(f"{path}: cannot be read: {fault}; {hint}") from error
    document = parse(text, str(path))
    if not isinstance(document.value, dict):
        place = document.place(())
        raise SpecError(f"{place}: expected fields such as 'data:' and 'architecture:', got {show(document.value)}")
    if "name" not in document.value:
        document.value["name"] = path.stem
        document.places["name",] = Place(0, 0, f"{path} (its file's name)")
    _apply(document, overrides)
    return document


def given_document(fields: Mapping[str, Any], overrides: Overrides = ()) -> Document:
    """Return the fields of a spec that a program gives, after overrides; `SpecReader.validate` checks the result.

    Args:
        fields: the spec as nested dictionaries of plain values. Without a ``name`` the run is named after the
            architecture.
        overrides: the fields to set; later ones win.

    Raises:
        SpecError: a value is none of those that a spec can hold.
        UsageError: an override has another form.
    """
    place = Place(0, 0, "the spec")
    document = Document(_plain(dict(fields), place), {(): place})
    _apply(document, overrides)
    assert isinstance(document.value, dict)
    architecture = document.value.get("architecture")
    if "name" not in document.value and isinstance(architecture, dict) and "name" in architecture:
        document.value["name"] = architecture["name"]
    return document


def read_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the nested fields that ``a.b=c`` overrides set; raises what `load_document` raises."""
    document = Document({}, {})
    _apply(document, overrides)
    assert isinstance(document.value, dict)
    return document.value


def _apply(document: Document, overrides: Overrides) -> None:
    if isinstance(overrides, Mapping):
        for number, (keys, value) in enumerate(overrides.items(), 1):
            place = Place(0, number, f"the override {shorten(repr(keys), _SHOWN)}")
            if not isinstance(keys, str) or (path := _path(keys)) is None:
                raise UsageError(f"{place}: expected a field such as 'training.epochs'")
            _set(document, path, _plain(value, place), place)
        return
    if isinstance(overrides, str):
        raise UsageError(f"overrides: expected a dict or a list, got the text {show(overrides)}; put it in a list")
    for number, override in enumerate(overrides, 1):
        shown = shorten(override if override.isprintable() else repr(override), _SHOWN)
        _override(document, override, Place(0, number, f"--set {shown}"))


def _plain(value: Any, place: Place) -> Value:
    """Return a copy of a program's value in the types of YAML.

    Raises:
        SpecError: a part of it has no such type.
    """
    try:
        copy: Value = json.loads(json.dumps(value, default=_to_plain))
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(f"{place}: {error}; expected numbers, texts, lists and dictionaries of them") from error
    return copy


def _to_plain(value: Any) -> Any:
    """Return the plain form of a path, a number of NumPy or a part of a spec."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Config):
        return value.model_dump(mode="json")
    if getattr(value, "shape", None) == ():
        return value.item()
    raise TypeError(f"holds a value of type {type(value).__name__}")


def _specs_beside(path: FilePath) -> list[str]:
    """Return the names of the specs in the folder of ``path``."""
    try:
        return [spec.name for spec in path.parent.glob("*.yaml")]
    except (OSError, ValueError):  # the fault of the path may be in its folder
        return []


@dataclass(frozen=True)
class SpecReader:
    """Reads and checks specs whose parts have the options of the installed plugins."""

    model: type[Spec]
    architectures: dict[str, Architecture]
    earlier: Mapping[str, Mapping[str, Any]]
    """``earlier`` of the config of each data source, see `zoo.Config`."""

    @classmethod
    def of(cls, registry: Registry) -> SpecReader:
        """Compose the pydantic model of a spec from the plugins of a registry.

        Raises:
            PluginError: no usable plugin provides an architecture, a data source or a task.
        """
        parts: dict[str, list[type[Config]]] = {
            "architecture": [architecture.config for _, architecture in sorted(registry.architectures.items())],
            "data": [named_config(name, source.Config) for name, source in sorted(registry.data.items())],
            "task": [named_config(name, task.Config) for name, task in sorted(registry.tasks.items())],
        }
        for part, models in parts.items():
            if not models:
                raise PluginError(f"no usable plugin provides any {part}; see 'zoo plugins'")
        fields: dict[str, Any] = {part: (_tagged_union(models), ...) for part, models in parts.items()}
        earlier = {name: source.Config.earlier for name, source in registry.data.items()}
        return cls(create_model("ComposedSpec", __base__=Spec, **fields), registry.architectures, earlier)

    def read(self, path: FilePath, overrides: Sequence[str] = ()) -> Spec:
        """Read and check a spec file; see `load_document` and `validate`."""
        return self.validate(load_document(path, overrides))

    def read_run(self, path: FilePath) -> Spec:
        """Read and check the spec of a run, where a field that an earlier version did not write means what it did then.

        Raises:
            SpecError, UsageError: see `load_document` and `validate`.
        """
        document = load_document(path)
        assert isinstance(document.value, dict)
        if isinstance(data := document.value.get("data"), dict):
            document.value["data"] = {**self.earlier.get(str(data.get("name")), {}), **data}
        return self.validate(document)

    def validate(self, document: Document) -> Spec:
        """Check a parsed document against the composed model.

        Raises:
            SpecError: the document has faults; the error holds one line for each, in the order of the file.
        """
        try:
            # In JSON mode strict models accept a list for a tuple and a string for a path; in Python mode they do not.
            return self.model.model_validate_json(json.dumps(document.value))
        except ValidationError as error:
            raise SpecError(describe_faults(error, document, self.model)) from error

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (draft 7) of a spec, for editors."""
        schema = self.model.model_json_schema(ref_template="#/definitions/{model}")
        schema["definitions"] = schema.pop("$defs", {})
        schema["title"] = "Recurrent Zoo spec"
        schema["required"].remove("name")  # defaults to the file's name
        return {"$schema": "http://json-schema.org/draft-07/schema#", **_without_discriminators(schema)}


def _tagged_union(models: list[type[Config]]) -> Any:
    if len(models) == 1:
        return models[0]
    return Annotated[Union[tuple(models)], Field(discriminator="name")]  # noqa: UP007  (members known at run time only)


def _without_discriminators(schema: Any) -> Any:
    """Drop OpenAPI's ``discriminator`` from unions; in JSON Schema the ``const`` tags distinguish the members."""
    if isinstance(schema, dict):
        dropped = {"discriminator"} if "oneOf" in schema else set()
        return {key: _without_discriminators(value) for key, value in schema.items() if key not in dropped}
    if isinstance(schema, list):
        return [_without_discriminators(item) for item in schema]
    return schema


def _path(keys: str) -> Path | None:
    """Return the path of a field such as ``training.epochs``; None where the text is no such field."""
    path: Path = tuple(keys.strip().split("."))
    return path if all(path) and len(path) <= MAX_DEPTH and keys.isprintable() else None


def _override(document: Document, override: str, place: Place) -> None:
    """Set one field of a document, as in ``training.epochs=3``; the value is parsed as YAML."""
    keys, equals, text = override.partition("=")
    path = _path(keys)
    if not equals or path is None:
        raise UsageError(f"{place}: expected FIELD.FIELD=VALUE, such as training.epochs=3")
    try:
        value = parse(text, "its value").value
    except SpecError as error:
        raise SpecError([f"{place}: {fault}" for fault in error.faults]) from error
    _set(document, path, value, place)


def _set(document: Document, path: Path, value: Value, place: Place) -> None:
    """Set the field at ``path``, with the place of the override that sets it."""
    target: Value = document.value
    for depth, key in enumerate(path[:-1], 1):
        assert isinstance(target, dict)
        inner = target.get(str(key))
        if inner is None:  # missing, or null in the file
            inner = target[str(key)] = {}
            document.places[path[:depth]] = place
        if not isinstance(inner, dict):
            raise SpecError(f"{place}: {key} holds {show(inner)}, which has no fields")
        target = inner
    assert isinstance(target, dict)
    target[str(path[-1])] = value
    for old in [old for old in document.places if old[: len(path)] == path]:
        del document.places[old]
    document.places[path] = place
