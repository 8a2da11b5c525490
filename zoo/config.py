"""The base of every part of a spec: immutable, strict about types, closed to unknown fields."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Size = Annotated[int, Field(gt=0)]
"""A count of something: a positive integer."""

Fraction = Annotated[float, Field(ge=0, lt=1)]
"""A share of something, from 0 up to but not including 1."""


class Config(BaseModel):
    """A part of a spec. Subclass it and add typed fields; their descriptions appear in the JSON Schema."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
