"""Pydantic's validation errors as one line each: place, field, expected and actual value, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from zoo.errors import SpecError
from zoo.spec.strict_yaml import Document, Path, Value

_TYPES = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_pattern_mismatch": "up to 64 letters, digits, '.', '_' or '-', a letter or digit first",
}
"""By pydantic's error type: the expected value, in words."""

_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
"""By pydantic's error type: the key of the bound in the error's context, and the relation in words."""


def describe_faults(error: ValidationError, document: Document, model: type[BaseModel]) -> list[str]:
    """Return one line for each validation error, in the order of the file."""
    lines = []
    faults = error.errors(include_url=False)
    inner = {fault["loc"][:-1] for fault in faults}
    for fault in faults:
        if fault["type"] == "too_short" and fault["loc"] in inner:
            continue  # pydantic counts only the valid entries, and each invalid entry has a line of its own
        path, holder, allowed = _walk(fault["loc"], document.value, model)
        if fault["type"] in ("union_tag_invalid", "union_tag_not_found"):
            path = (*path, "name")
        text = _message(fault, _choices(allowed), list(holder.model_fields) if holder else [])
        lines.append((document.place(path), f"{field_name(path)}: {text}"))
    return [f"{place}: {line}" for place, line in sorted(lines, key=lambda pair: pair[0])]


@contextmanager
def located(document: Document) -> Iterator[None]:
    """Add the place in the file to each line of a `SpecError` raised inside the block.

    Each line must begin with the path of its field (``training.metric: …``).
    """
    try:
        yield
    except SpecError as error:
        fields = [fault.partition(":")[0].split(".") for fault in error.faults]
        places = [document.place(tuple(field)) for field in fields]
        raise SpecError([f"{place}: {fault}" for place, fault in zip(places, error.faults, strict=True)]) from error


def field_name(path: Path) -> str:
    """Return a path in dotted form: ``training.optimizer.lr``; unusual keys are quoted."""
    return ".".join(str(part) if re.fullmatch(r"[\w-]+", str(part)) else show(part) for part in path)


def show(value: object) -> str:
    """Format an actual value for a message: one line of at most 60 characters, ``nothing`` for None."""
    text = "nothing" if value is None else repr(value).lower() if isinstance(value, bool) else repr(value)
    return shorten(text, 60)


def shorten(text: str, limit: int) -> str:
    """Cut a text to ``limit`` characters, with an ellipsis as the last of them."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _walk(
    location: Sequence[int | str], value: Value, model: type[BaseModel]
) -> tuple[Path, type[BaseModel] | None, Any]:
    """Follow pydantic's location through the file.

    Returns:
        The path in the file, the model whose field the last part is, and the type annotation of that field.
    """
    path: Path = ()
    holder: type[BaseModel] | None = None
    allowed: Any = model
    for part in location:
        models = _models(allowed)
        if len(models) > 1:  # pydantic's location names the tried member of a union; the file has no such level
            allowed = next((member for member in models if part in (*_choices(member), member.__name__)), allowed)
        elif isinstance(value, list) and isinstance(part, int):
            path, value = (*path, part), value[part]
        elif isinstance(value, dict):
            path, value = (*path, part), value.get(str(part))
            holder = models[0] if models else None
            field = holder.model_fields.get(str(part)) if holder else None
            allowed = field.annotation if field else None
    return path, holder, allowed


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return every model that an annotation allows, members of unions included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _choices(annotation: Any) -> list[str]:
    """Return the values that an annotation allows: its literals, and the names of its models."""
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        name = annotation.model_fields.get("name")
        return _choices(name.annotation) if name else []
    return [choice for part in get_args(annotation) for choice in _choices(part)]


def _message(fault: Any, choices: list[str], fields: list[str]) -> str:
    kind, actual = fault["type"], fault["input"]
    allowed = ", ".join(choices)
    if kind in ("missing", "union_tag_not_found"):
        return f"is required; known: {allowed}" if choices else "is required"
    if kind in ("union_tag_invalid", "literal_error"):
        actual = actual["name"] if kind == "union_tag_invalid" else actual
        if isinstance(actual, str):
            return f"{show(actual)} is not known{_guess(actual, choices)}; known: {allowed}"
        return f"must be one of {allowed}, got {show(actual)}"
    if kind == "extra_forbidden":
        return f"is not a field here{_guess(str(fault['loc'][-1]), fields)}; fields: {', '.join(sorted(fields))}"
    if kind in ("dict_type", "model_type"):
        return f"must be a block of fields{f' with a name ({allowed})' if choices else ''}, got {show(actual)}"
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}, got {show(actual)}"
    if kind == "too_short":
        return f"must have at least {fault['ctx']['min_length']} entry, got none"
    if kind == "too_long":
        return f"must have at most {fault['ctx']['max_length']} entries, got {len(actual):,}"
    if kind in _BOUNDS:
        return f"must be {_bound(kind, fault['ctx'])}, got {show(actual)}"
    return f"{' '.join(fault['msg'].removeprefix('Value error, ').split())}, got {show(actual)}"


def _bound(kind: str, context: dict[str, Any]) -> str:
    key, words = _BOUNDS[kind]
    bound = context[key]
    if kind == "greater_than" and bound == 0 and isinstance(bound, int):
        return "a positive integer"
    return f"{words} {bound:g}" if isinstance(bound, float) else f"{words} {bound}"


def _guess(name: str, candidates: list[str]) -> str:
    """Return a did-you-mean for a misspelt name, or an empty string."""
    close = get_close_matches(name, candidates, 1, 0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
