"""Checks of a data set that a program gives, before anything is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.data.signature import IGNORED, Signature
from zoo.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.data.dataset import Dataset, Split


def check_dataset(data: Dataset) -> None:
    """Check shapes, dtypes and values of every part against the signature.

    Args:
        data: the data set.

    Raises:
        DataError: a part does not fit; the message begins with the part and its field, such as ``data.train.x``.
    """
    _check_categories(data.signature)
    for name in ("train", "validation", "test"):
        _check_part(getattr(data, name), data.signature, f"data.{name}")


def _check_part(part: Split, signature: Signature, where: str) -> None:
    if len(part) == 0 or len(part.x) != len(part):
        raise DataError(f"{where}: has {len(part.x):,} sequences and {len(part):,} targets, expected as many of both")
    tokens = len(signature.vocabulary)
    shape = "(sequences, time)" if tokens else f"(sequences, time, {signature.features})"
    if part.x.dim() != (2 if tokens else 3) or (not tokens and part.x.shape[2] != signature.features):
        raise DataError(f"{where}.x: has the shape {tuple(part.x.shape)}, expected {shape} by the signature")
    if tokens:
        _check_range(part.x, tokens, f"{where}.x")
    elif str(part.x.dtype) in ("torch.float64", "torch.bool") or part.x.is_complex():
        raise DataError(f"{where}.x: has the type {part.x.dtype}, expected float32 or integers; call float()")
    elif not bool(part.x.isfinite().all()):
        raise DataError(f"{where}.x: has numbers that are not finite; replace or remove them")
    else:
        _check_ids(part, signature, f"{where}.x")
    _check_lengths(part, signature, where)
    _check_targets(part, signature, f"{where}.y")


def _check_categories(signature: Signature) -> None:
    """Check categories, groups and their scales against the number of features and targets."""
    where, features, targets = "data.signature", signature.features, len(signature.targets)
    if signature.categories and len(signature.categories) != features:
        raise DataError(
            f"{where}.categories: has {len(signature.categories)} entries, expected {features}, one for each feature "
            "and an empty one for a number"
        )
    for number, names in enumerate(signature.categories):
        if repeated := [name for place, name in enumerate(names) if name in names[:place]]:
            raise DataError(f"{where}.categories[{number}]: has {repeated[0]!r} twice, expected different names")
    if signature.group is None:
        if signature.input_scales or signature.target_scales:
            raise DataError(f"{where}.group: is None, expected the index of a feature, since groups have scales")
        return
    count = signature.category_counts[signature.group] - 1 if 0 <= signature.group < features else 0
    if count < 1:
        raise DataError(f"{where}.group: is {signature.group}, expected the index of a feature with categories")
    for kind, columns in (("input", features), ("target", targets)):
        field, pooled = f"{kind}_scales", f"{kind}_scale"
        scales = getattr(signature, field)
        if scales and len(scales) != count:
            raise DataError(f"{where}.{field}: has {len(scales)} scales, expected {count}, one for each group")
        if scales and getattr(signature, pooled) is None:
            raise DataError(f"{where}.{pooled}: is None, expected the scale of unknown groups")
        if any({len(scale.offset), len(scale.factor)} != {columns} for scale in scales):
            raise DataError(f"{where}.{field}: has a scale without {columns} columns, expected as many in each")


def _check_ids(part: Split, signature: Signature, where: str) -> None:
    """Check that features with categories contain ids, and that a sequence stays in one group."""
    steps = (part.y if part.lengths is None else part.lengths).new_ones(part.x.shape[1]).cumsum(0)
    valid = (steps > 0 if part.lengths is None else steps <= part.lengths[:, None]).expand(part.x.shape[:2])
    for feature, count in enumerate(signature.category_counts):
        ids = part.x[..., feature]
        wrong = valid & ((ids < 0) | (ids >= count) | (ids != ids.floor())) if count else valid[:0]
        if bool(wrong.any()):
            raise DataError(
                f"{where}: has the value {float(ids[wrong][0]):g} in feature [{feature}], expected the id of a "
                f"category, a whole number from 0 to {count - 1:,}"
            )
    if signature.group is not None:
        ids = part.x[..., signature.group]
        moved = valid & (ids != ids[:, :1])
        if bool(moved.any()):
            row = int(moved.any(1).int().argmax())
            raise DataError(
                f"{where}: sequence [{row}] has several groups in feature [{signature.group}], expected the same at "
                "each step"
            )


def _check_range(values: Tensor, count: int, where: str, ignored: int | None = None) -> None:
    """Check that a tensor holds int64 from 0 to ``count`` less 1, or ``ignored``."""
    if str(values.dtype) != "torch.int64":
        raise DataError(f"{where}: has the type {values.dtype}, expected int64; convert it with long()")
    inside = (values >= 0) & (values < count)
    if ignored is not None:
        inside |= values == ignored
    if not bool(inside.all()):
        raise DataError(f"{where}: has the value {int(values[~inside][0])}, expected 0 to {count - 1:,}")


def _check_lengths(part: Split, signature: Signature, where: str) -> None:
    if signature.lengths != (part.lengths is not None):
        expected = "lengths" if signature.lengths else "no lengths"
        raise DataError(f"{where}.lengths: the signature has lengths={signature.lengths}, so expected {expected}")
    if part.lengths is None:
        return
    if part.lengths.shape != (len(part),):
        raise DataError(f"{where}.lengths: has the shape {tuple(part.lengths.shape)}, expected ({len(part):,},)")
    _check_range(part.lengths - 1, part.x.shape[1], f"{where}.lengths, less 1")


def _check_targets(part: Split, signature: Signature, where: str) -> None:
    count, time = part.x.shape[:2]
    steps = (time,) if signature.by_step else (signature.horizon,) if signature.horizon else ()
    columns = (len(signature.targets),) if signature.targets else (len(signature.labels),)
    expected = (count, *steps, *(() if signature.labels and not signature.multilabel else columns))
    if part.y.shape != expected:
        raise DataError(f"{where}: has the shape {tuple(part.y.shape)}, expected {expected} by the signature")
    for name, naive in (("naive", part.naive), ("seasonal", part.seasonal)):
        if naive is not None and naive.shape != expected:
            raise DataError(
                f"{where}: has the shape {expected}, and {name} has {tuple(naive.shape)}, expected the same"
            )
    if signature.multilabel:
        if not part.y.is_floating_point() or not bool(((part.y == 0) | (part.y == 1)).all()):
            raise DataError(
                f"{where}: has the type {part.y.dtype} or values besides 0 and 1, expected 0 and 1 as float32"
            )
    elif signature.labels:
        _check_range(part.y, len(signature.labels), where, IGNORED if signature.by_step else None)
    elif signature.by_step:
        _check_steps(part, where)
    elif not part.y.is_floating_point() or not bool(part.y.isfinite().all()):
        raise DataError(f"{where}: has the type {part.y.dtype} or numbers that are not finite, expected finite float32")


def _check_steps(part: Split, where: str) -> None:
    """Check numbers for each step: finite, or NaN where a step has none."""
    if not part.y.is_floating_point() or bool(part.y.isinf().any()):
        raise DataError(
            f"{where}: has the type {part.y.dtype} or infinite numbers, expected float32, NaN for no target"
        )
    if part.lengths is not None:
        steps = part.x.new_ones(part.x.shape[1], dtype=part.lengths.dtype).cumsum(0)
        if not bool(part.y[steps > part.lengths[:, None]].isnan().all()):
            raise DataError(f"{where}: has numbers beyond the length of a sequence, expected NaN there")
