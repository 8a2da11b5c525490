"""The data sources characters, adding and copy: contents of the sequences, and that they never change."""

from __future__ import annotations

import hashlib
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import zoo
from tests.data.common import error_of, parts, rewrites_files
from tests.support.paths import DATA
from zoo.data.sources.adding import Adding
from zoo.data.sources.characters import Characters
from zoo.data.sources.copying import Copy

SHAKESPEARE = DATA / "tinyshakespeare" / "input.txt"
SMALL = {"train": 20, "validation": 10, "test": 10}


def characters(**fields: Any) -> zoo.Dataset:
    return Characters().load(Characters.Config(**fields))


def characters_of(folder: Path, text: str | bytes, **fields: Any) -> zoo.Dataset:
    path = folder / "x.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return characters(file=str(path), **fields)


def adding(**fields: Any) -> zoo.Dataset:
    return Adding().load(Adding.Config(**fields))


def copy(**fields: Any) -> zoo.Dataset:
    return Copy().load(Copy.Config(**fields))


def digests(dataset: zoo.Dataset) -> list[str]:
    bytes_of = [part.x.numpy().tobytes() + part.y.numpy().tobytes() for part in parts(dataset)]
    return [hashlib.sha256(content).hexdigest()[:16] for content in bytes_of]


def text_of(tokens: torch.Tensor, vocabulary: tuple[str, ...]) -> str:
    return "".join(vocabulary[token] for token in tokens.flatten().tolist())


# characters

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\ufeff"), min_size=40, max_size=120)


@rewrites_files
@given(TEXT, st.integers(1, 4))
def test_the_next_character_is_the_target(tmp_path: Path, text: str, window: int) -> None:
    dataset = characters_of(tmp_path, text, window=window, train=0.5, validation=0.25, test=0.25)
    vocabulary = dataset.signature.vocabulary
    count = len(text)
    pieces = text[: count // 2], text[count // 2 : count * 3 // 4], text[count * 3 // 4 :]
    alphabet = set(pieces[0])
    for part, piece in zip(parts(dataset), pieces, strict=True):
        windows = (len(piece) - 1) // window
        assert part.x.shape == part.y.shape == (windows, window)
        assert part.x.dtype == part.y.dtype == torch.int64
        shown = [character if character in alphabet else "<unk>" for character in piece[: windows * window + 1]]
        assert [vocabulary[token] for token in part.x.flatten().tolist()] == shown[:-1]
        assert [vocabulary[token] for token in part.y.flatten().tolist()] == shown[1:]
    unknown = sum(character not in alphabet for piece in pieces for character in piece)
    assert vocabulary == (*sorted(alphabet), *(["<unk>"] if unknown else []))
    assert (f" {unknown:,} characters are not in the training part" in dataset.description) == (unknown > 0)
    assert dataset.signature == zoo.Signature(
        vocabulary=vocabulary, tokenizer="characters", labels=vocabulary, by_step=True
    )


@rewrites_files
@given(TEXT, st.integers(1, 8), st.floats(0.01, 0.99))
def test_masked_characters_are_the_targets(tmp_path: Path, text: str, window: int, masked: float) -> None:
    fields: dict[str, Any] = {"window": window, "train": 0.5, "validation": 0.25, "test": 0.25}
    dataset = characters_of(tmp_path, text, predict="masked", masked=masked, **fields)
    vocabulary = dataset.signature.vocabulary
    assert vocabulary[-1] == "<mask>"
    assert dataset.signature.labels == vocabulary[:-1]
    count = len(text)
    ends = (0, count // 2, count * 3 // 4, count)
    for part, start, stop in zip(parts(dataset), ends, ends[1:], strict=False):
        hidden = part.x == len(vocabulary) - 1
        assert (hidden.sum(1) == max(1, round(masked * window))).all()
        assert ((part.y != zoo.IGNORED) == hidden).all()
        whole = [vocabulary[token] for token in torch.where(hidden, part.y, part.x).flatten().tolist()]
        assert len(whole) == (stop - start) // window * window
        assert all(got in (want, "<unk>") for got, want in zip(whole, text[start:stop], strict=False))


def test_masks_are_spread_over_the_window(tmp_path: Path) -> None:
    dataset = characters(predict="masked")
    assert dataset.train.x.shape == (len(dataset.train), 64)
    hidden = dataset.train.y != zoo.IGNORED
    assert (hidden.sum(1) == 10).all()
    # Each step is hidden in 10/64 of the windows; over thousands of windows the share deviates by less than a fifth.
    assert (hidden.double().mean(0) - 10 / 64).abs().max() < 10 / 64 / 5


def test_masks_never_change(tmp_path: Path) -> None:
    dataset = characters_of(tmp_path, "abcdefghij" * 40, predict="masked", window=8)
    assert digests(dataset) == [
        "7a2a051ddb9252b1",
        "59b718f7e85b5c43",
        "8a5f10931cf44cac",
    ]


def test_the_embedded_text() -> None:
    dataset = characters()
    text = "".join(topics[name] for name in sorted(topics))
    length = len(text) * 4 // 5
    assert text_of(dataset.train.x, dataset.signature.vocabulary) == text[: (length - 1) // 64 * 64]
    assert len(dataset.test) > 100
    assert f"{len(text):,} characters" in dataset.description


@pytest.mark.skipif(not SHAKESPEARE.is_file(), reason="the text is not in ../shared/data/tinyshakespeare")
def test_real_text() -> None:
    dataset = characters(file=str(SHAKESPEARE))
    assert len(dataset.signature.vocabulary) == 65
    assert [len(part) for part in parts(dataset)] == [13942, 1742, 1742]
    assert text_of(dataset.train.x[0], dataset.signature.vocabulary).startswith("First Citizen:\nBefore we proceed")


BAD_TEXTS: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "empty": (b"", {}, "{path}: is empty, expected a text; give another file"),
    "byte order mark alone": (b"\xef\xbb\xbf", {}, "{path}: is empty, expected a text; give another file"),
    "not UTF-8": (b"one\ntwo\n\xff\n", {}, "{path}:3: is not UTF-8 text; give a text file saved as UTF-8"),
    "too short": (
        b"x" * 640, {},
        "data.window: too few of the 640 characters of {path} for a window in each part: train 512, validation 64, "
        "test 64, expected at least 65 in each; lower data.window or give a longer text",
    ),
    "too short for masks": (
        b"x" * 630, {"predict": "masked"},
        "data.window: too few of the 630 characters of {path} for a window in each part: train 504, validation 63, "
        "test 63, expected at least 64 in each; lower data.window or give a longer text",
    ),
    "shares above 1": (
        b"x" * 1000, {"train": 0.9}, "data.train: the parts add up to 1.1, expected at most 1; lower one of them"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "fields", "expected"), BAD_TEXTS.values(), ids=BAD_TEXTS.keys())
def test_bad_texts(tmp_path: Path, content: bytes, fields: dict[str, Any], expected: str) -> None:
    message = error_of(lambda: characters_of(tmp_path, content, **fields))
    assert message == expected.format(path=tmp_path / "x.txt")


def test_a_text_that_is_just_long_enough(tmp_path: Path) -> None:
    assert [len(part) for part in parts(characters_of(tmp_path, "x" * 650))] == [8, 1, 1]
    assert [len(part) for part in parts(characters_of(tmp_path, "x" * 640, predict="masked"))] == [8, 1, 1]


def test_no_such_text(tmp_path: Path) -> None:
    with pytest.raises(zoo.DataError, match=r"absent: there is no such file; correct the path$"):
        characters(file=str(tmp_path / "absent"))


# adding


@settings(deadline=None)
@given(st.integers(2, 40))
def test_the_target_of_adding_is_the_sum_of_two_marked_numbers(time: int) -> None:
    dataset = adding(time=time, **SMALL)
    assert [len(part) for part in parts(dataset)] == [20, 10, 10]
    for part in parts(dataset):
        assert part.x.shape == (len(part), time, 2)
        assert part.x.dtype == part.y.dtype == torch.float32
        values, marks = part.x.unbind(2)
        assert ((values >= 0) & (values <= 1)).all()
        assert ((marks == 0) | (marks == 1)).all()
        assert (marks[:, : time // 2].sum(1) == 1).all()
        assert (marks[:, time // 2 :].sum(1) == 1).all()
        torch.testing.assert_close((values * marks).sum(1, keepdim=True), part.y)
    assert dataset.signature == zoo.Signature(features=2, columns=("value", "marker"), targets=("sum",))


def test_adding_is_uniform() -> None:
    """Predicting 1 has a mean squared error of 1/6, and every step is marked equally often."""
    dataset = adding()
    assert [len(part) for part in parts(dataset)] == [10_000, 1_000, 1_000]
    assert dataset.time == 100
    assert float((dataset.train.y - 1).square().mean()) == pytest.approx(1 / 6, rel=0.03)
    assert dataset.train.x[:, :, 1].mean(0).tolist() == pytest.approx([1 / 50] * 100, abs=0.006)  # 4 deviations
    assert float(dataset.train.x[:, :, 0].mean()) == pytest.approx(0.5, abs=0.002)


# copy


@settings(deadline=None)
@given(st.integers(2, 26), st.integers(1, 12), st.integers(1, 30))
def test_the_last_targets_of_copy_are_the_first_symbols(symbols: int, length: int, delay: int) -> None:
    dataset = copy(symbols=symbols, length=length, delay=delay, **SMALL)
    vocabulary = dataset.signature.vocabulary
    letters = tuple("abcdefghijklmnopqrstuvwxyz"[:symbols])
    assert dataset.signature == zoo.Signature(
        vocabulary=(*letters, "-", ">"), tokenizer="characters", labels=letters, by_step=True
    )
    for part in parts(dataset):
        assert part.x.dtype == part.y.dtype == torch.int64
        for x, y in zip(part.x, part.y, strict=True):
            text = text_of(x, vocabulary)
            assert set(text[:length]) <= set(letters)
            assert text[length:] == "-" * (delay - 1) + ">" + "-" * length
            assert y[: length + delay].tolist() == [zoo.IGNORED] * (length + delay)
            assert text_of(y[length + delay :], vocabulary) == text[:length]


def test_copy_is_uniform() -> None:
    dataset = copy()
    assert [part.x.shape for part in parts(dataset)] == [(10_000, 40), (1_000, 40), (1_000, 40)]
    shares = torch.bincount(dataset.train.x[:, :10].flatten()).double() / 100_000
    assert shares.tolist() == pytest.approx([1 / 8] * 8, abs=0.005)  # 4 deviations and more


# both


def test_generated_data_never_change() -> None:
    """Otherwise results of different versions could not be compared."""
    assert digests(adding(**SMALL)) == [
        "d2defafa951c5f05",
        "5ddc0f240e9c72e5",
        "4c887431169f9a94",
    ]
    assert digests(copy(**SMALL)) == [
        "f16ac2c1713725fc",
        "f4256fdec4620469",
        "47b0762c68544efc",
    ]


@pytest.mark.parametrize("source", [adding, copy])
def test_parts_differ_and_do_not_depend_on_the_size_of_each_other(source: Any) -> None:
    few, many = source(**SMALL), source(train=30, validation=10, test=10)
    assert few.test.x.equal(many.test.x)
    assert few.validation.x.equal(many.validation.x)
    assert not few.validation.x.equal(few.test.x)
    assert not few.train.x[:10].equal(few.test.x)


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        (Adding.Config, {"time": 1}),
        (Adding.Config, {"train": 0}),
        (Copy.Config, {"symbols": 1}),
        (Copy.Config, {"symbols": 27}),
        (Copy.Config, {"delay": 0}),
        (Copy.Config, {"length": 0}),
        (Characters.Config, {"masked": 0.0}),
        (Characters.Config, {"masked": 1.0}),
        (Characters.Config, {"window": 0}),
        (Characters.Config, {"predict": "last"}),
        (Characters.Config, {"train": 100}),
    ],
)
def test_fields_out_of_range(config: type[zoo.Config], fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**fields)
    assert [error["loc"] for error in caught.value.errors()] == [tuple(fields)]
