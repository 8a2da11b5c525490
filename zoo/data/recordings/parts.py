"""Recordings divided into the parts for training, validation and test."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.recordings.columns import Texts
from zoo.data.recordings.recordings import Recordings
from zoo.errors import DataError

PARTS = ("train", "validation", "test")
_SPELLINGS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_DRAWS = 500
"""Divisions of the groups that are drawn; the one nearest to the shares is taken."""

Rows = NDArray[np.int64]


def divide_recordings(
    recordings: Recordings,
    classes: NDArray[np.int64] | None,
    shares: tuple[float, float],
    *,
    by: str | None = None,
    part: str | None = None,
) -> list[Rows]:
    """Return the recordings of each part, in ascending order; always the same ones for the same recordings.

    Args:
        recordings: all recordings.
        classes: (recordings,) class of each, of which each part gets its share as far as the groups allow; or None.
        shares: of the validation part and of the test part.
        by: column of groups, such as subjects, none of which may be in two parts.
        part: column with the name of the part of each recording. Where it names no recording for validation, they are
            drawn from the training part.

    Raises:
        DataError: a part would be empty, a class would not be in the training part, or a group would be in two parts.
    """
    groups = None if by is None else _groups(recordings, by)
    names = recordings.parts if part is None else _parts(recordings, part)
    if names is None:
        parts = _drawn(recordings, classes, groups, shares, by)
    else:
        parts = _given(recordings, names, classes, groups, shares[0], by, part or "test_file")
    _require_apart(recordings, parts, groups, by)
    if classes is not None and (lacking := set(classes.tolist()) - set(classes[parts[0]].tolist())):
        row = int(np.argmax(classes == min(lacking)))
        raise DataError(
            f"{recordings.place(row)}: the class of {recordings.ids[row]!r} is in no recording of the training part; "
            f"add recordings of it{f' by other values of {by!r}' if by else ''}"
        )
    return parts


def _groups(recordings: Recordings, by: str) -> NDArray[np.int64]:
    """Return the group of each recording, numbered from 0."""
    texts = recordings.texts(by, "by")
    if None in texts:
        row = texts.index(None)
        raise DataError(
            f"{recordings.place(row)}: the recording {recordings.ids[row]!r} has no {by!r}; fill it in, because "
            "data.by keeps its groups apart"
        )
    numbers: NDArray[np.int64] = np.unique(np.array(texts), return_inverse=True)[1]
    return numbers


def _parts(recordings: Recordings, part: str) -> tuple[str, ...]:
    names = []
    texts: Texts = recordings.texts(part, "part")
    for row, text in enumerate(texts):
        name = _SPELLINGS.get((text or "").lower())
        if name is None:
            raise DataError(
                f"{recordings.place(row)}: the recording {recordings.ids[row]!r} has {text!r} as {part!r}, expected "
                "train, validation or test; correct it or name another column in data.part"
            )
        names.append(name)
    return tuple(names)


def _given(
    recordings: Recordings,
    names: Sequence[str],
    classes: NDArray[np.int64] | None,
    groups: NDArray[np.int64] | None,
    share: float,
    by: str | None,
    field: str,
) -> list[Rows]:
    """Return the parts that the recordings name; without a validation part, it is drawn from the training part."""
    train, validation, test = (np.array([row for row, name in enumerate(names) if name == part], int) for part in PARTS)
    if not len(train) or not len(test):
        lacking = "train" if not len(train) else "test"
        raise DataError(f"{recordings.source}: data.{field} gives no recording to the part {lacking}; give it some")
    if len(validation):
        return [train, validation, test]
    _require_apart(recordings, [train, validation, test], groups, by)
    own = None if classes is None else classes[train]
    if groups is None:
        pieces = _by_recording(recordings, len(train), own, (share,))
        return [train[pieces[0]], train[pieces[1]], test]
    inner = np.unique(groups[train], return_inverse=True)[1]
    pieces = _by_group(recordings, inner, own, (share,), by)
    return [train[pieces[0]], train[pieces[1]], test]


def _drawn(
    recordings: Recordings,
    classes: NDArray[np.int64] | None,
    groups: NDArray[np.int64] | None,
    shares: tuple[float, float],
    by: str | None,
) -> list[Rows]:
    if sum(shares) >= 1:
        raise DataError(
            f"data.validation: the shares of validation and test are {shares[0]:g} and {shares[1]:g}, expected a sum "
            "below 1; lower one of them"
        )
    if groups is None:
        return _by_recording(recordings, len(recordings), classes, shares)
    return _by_group(recordings, groups, classes, shares, by)


def _by_recording(
    recordings: Recordings, count: int, classes: NDArray[np.int64] | None, shares: Sequence[float]
) -> list[Rows]:
    """Return parts of a random order: the training part first, then one for each share.

    The recordings of each class stand together in that order, and a part takes every n-th, so that it gets its share of
    each class even where recordings are few. The first of each class stays in the training part.
    """
    kinds = np.zeros(count, np.int64) if classes is None else classes
    order = np.random.RandomState(0).permutation(count)  # NumPy guarantees that its stream never changes
    order = order[np.argsort(kinds[order], kind="stable")]
    rest = np.delete(order, np.unique(kinds[order], return_index=True)[1])
    sizes = [max(1, round(share * count)) for share in shares]
    if sum(sizes) > len(rest):
        raise DataError(
            f"{recordings.source}: {count:,} recordings of {count - len(rest):,} classes are too few for "
            f"{sum(sizes):,} outside the training part; add recordings"
        )
    parts = []
    for size in sizes:
        places = ((np.arange(size) + 0.5) * len(rest) / size).astype(int)
        parts.append(np.sort(rest[places]))
        rest = np.delete(rest, places)
    return [np.setdiff1d(np.arange(count), np.concatenate(parts)), *parts]


def _by_group(
    recordings: Recordings,
    groups: NDArray[np.int64],
    classes: NDArray[np.int64] | None,
    shares: Sequence[float],
    by: str | None,
) -> list[Rows]:
    """Return parts of whole groups: the training part first, then one for each share.

    scikit-learn divides by groups, or by groups and classes in equal folds, but not by shares of any size with both. So
    many random divisions are drawn, and the one is taken whose parts have most nearly their share of each class.
    """
    count = int(groups.max()) + 1
    if count <= len(shares):
        raise DataError(
            f"{recordings.source}: the recordings have {count:,} different values of {by!r}, expected at least "
            f"{len(shares) + 1:,}, one for each part; add recordings or leave data.by out"
        )
    kinds = np.zeros(len(groups), np.int64) if classes is None else classes
    table = np.zeros((count, int(kinds.max()) + 1))
    np.add.at(table, (groups, kinds), 1)
    table = table[:, table.any(0)]
    table /= table.sum(0)
    sizes = [max(1, round(share * count)) for share in shares]
    while sum(sizes) >= count:
        sizes[int(np.argmax(sizes))] -= 1
    ends = np.cumsum([0, *sizes])
    wanted = np.array(shares)[:, None]
    random = np.random.RandomState(0)  # NumPy guarantees that its stream never changes
    best: tuple[float, NDArray[Any]] | None = None
    for _ in range(_DRAWS):
        order = random.permutation(count)
        got = np.stack([table[order[start:end]].sum(0) for start, end in pairwise(ends)])
        trained = 1 - got.sum(0)
        cost = float(np.abs(got - wanted).sum() + 100 * (trained < 1e-9).sum())
        if best is None or cost < best[0] - 1e-9:
            best = cost, order
    assert best is not None
    part_of = np.zeros(count, np.int64)
    for number, (start, end) in enumerate(pairwise(ends), 1):
        part_of[best[1][start:end]] = number
    return [np.flatnonzero(part_of[groups] == number) for number in range(len(shares) + 1)]


def _require_apart(
    recordings: Recordings, parts: Sequence[Rows], groups: NDArray[np.int64] | None, by: str | None
) -> None:
    """Raise a `DataError` for a group that is in two parts."""
    if groups is None:
        return
    first: dict[int, str] = {}
    for name, rows in zip(PARTS, parts, strict=True):
        for row in rows:
            before = first.setdefault(int(groups[row]), name)
            if before != name:
                value = recordings.texts(by or "", "by")[row]
                raise DataError(
                    f"{recordings.place(int(row))}: the recording {recordings.ids[row]!r} of {by} {value!r} is in the "
                    f"part {name}, and another of the same {by} in {before}; give all of them one part"
                )
