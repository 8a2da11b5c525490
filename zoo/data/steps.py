"""A user's sequence in memory as the steps that a model with a signature takes. Needs no torch."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from zoo.data.arrays import as_array, require_finite, require_kind, to_float32, to_tokens
from zoo.data.categories import require_ids
from zoo.data.signature import Signature
from zoo.data.text_ids import text_ids
from zoo.errors import DataError


def as_steps(
    sequence: str | NDArray[Any], signature: Signature, where: str, *, allow_nonfinite: bool = False, advice: str = ""
) -> NDArray[Any]:
    """Return a sequence in memory as (time, features) numbers, float32, or (time,) token ids, int64.

    Args:
        sequence: an array, nested lists of numbers, or a text.
        signature: of the model.
        where: name of the sequence, which begins the message of an error.
        allow_nonfinite: whether NaN and infinities are accepted.
        advice: what to do about such a value, at the end of the message.

    Raises:
        DataError: the sequence does not fit the signature.
    """
    if isinstance(sequence, str):
        if not signature.tokenizer:
            raise DataError(f"{where}: is a text, and this model takes numbers; give an array")
        return text_ids(sequence, signature, where)
    values = as_array(sequence, where)
    features = signature.features
    expected = f"(time, {features})" if features else "(time,)"
    axes = 2 if features else 1
    if values.ndim != axes or (features and values.shape[1] != features) or len(values) == 0:
        hint = "; where x is one sequence, put it in a list: [x]" if values.ndim == axes - 1 else ""
        raise DataError(f"{where}: has the shape {values.shape}, expected {expected} with at least one step{hint}")
    require_kind(values.dtype, where, tokens=not features)
    if not features:
        return to_tokens(values, len(signature.vocabulary), lambda at: f"{where}, step [{at[0]}]")

    def place(at: tuple[int, ...]) -> str:
        return f"{where}, step [{at[0]}], feature [{at[1]}]"

    narrow = to_float32(values)
    if not allow_nonfinite:
        require_finite(narrow, values, place, advice=advice)
    return require_ids(narrow, signature, place)
