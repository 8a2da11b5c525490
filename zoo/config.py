"""Base class and field types of the parts of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Size = Annotated[int, Field(gt=0)]
"""A positive integer."""

Fraction = Annotated[float, Field(ge=0, lt=1)]
"""A number from 0 up to but not including 1."""


class Config(BaseModel):
    """Base class of every part of a spec: immutable, with strict types and without unknown fields.

    Subclasses add typed fields. The string below a field is its description in the JSON Schema.
    """

    earlier: ClassVar[Mapping[str, Any]] = {}
    """For fields that are newer than the class, the value that a spec without them meant, where it is not the default.
    The spec in a run names every field of the version that wrote it, so a field that it lacks is newer."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
