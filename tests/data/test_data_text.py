"""The data source text: files, tokens, splits, and the errors of bad texts."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

import zoo
from tests.data.common import error_of, parts, rewrites_files
from tests.support.paths import DATA
from zoo.data.sources.sentiment import LABELS, sentences
from zoo.data.sources.text import Text

REVIEWS = DATA / "rt-polarity"
needs_reviews = pytest.mark.skipif(not REVIEWS.is_dir(), reason="the reviews are not in ../shared/data/rt-polarity")

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def load(**fields: Any) -> zoo.Dataset:
    return Text().load(Text.Config(**fields))


def numbered(label: str, count: int) -> list[str]:
    """Return different texts of different lengths."""
    return [f"{label} " + " ".join(WORDS[int(digit)] for digit in str(number)) for number in range(count)]


def write_files(folder: Path, texts: dict[str, list[str]]) -> dict[str, str]:
    """Write a file for each label; return the field ``files``."""
    for label, lines in texts.items():
        (folder / f"{label}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {label: str(folder / f"{label}.txt") for label in texts}


def write_folder(folder: Path, texts: dict[str, list[str]]) -> str:
    for label, contents in texts.items():
        (folder / "texts" / label).mkdir(parents=True)
        for number, text in enumerate(contents):
            (folder / "texts" / label / f"{number:03}.txt").write_text(text + "\n", encoding="utf-8")
    return str(folder / "texts")


def write_csv(folder: Path, texts: dict[str, list[str]], header: str = "number,label,text") -> str:
    rows = [f'{n},{label},"{text}"' for label, lines in texts.items() for n, text in enumerate(lines)]
    (folder / "x.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    return str(folder / "x.csv")


def read_back(dataset: zoo.Dataset) -> list[tuple[str, str]]:
    """Return every text of every part with its label, decoded from the tokens, in alphabetical order."""
    signature, texts = dataset.signature, []
    for part in parts(dataset):
        lengths = (part.x != 0).sum(1) if part.lengths is None else part.lengths
        for x, y, length in zip(part.x.tolist(), part.y.tolist(), lengths.tolist(), strict=True):
            assert x[length:] == [0] * (len(x) - length)
            texts.append((signature.labels[y], " ".join(signature.vocabulary[token] for token in x[:length])))
    return sorted(texts)


TEXTS = {"pos": numbered("pos", 40), "neg": numbered("neg", 20), "none": numbered("none", 30)}


@pytest.mark.parametrize("form", ["files", "folder", "file"])
def test_all_forms_give_the_same_texts(tmp_path: Path, form: str) -> None:
    write = {"files": write_files, "folder": write_folder, "file": write_csv}[form]
    dataset = load(**{form: write(tmp_path, TEXTS)})
    assert dataset.signature.labels == ("neg", "none", "pos")
    assert read_back(dataset) == sorted((label, text) for label, texts in TEXTS.items() for text in texts)
    for part in parts(dataset):
        assert part.x.dtype == part.y.dtype == torch.int64
        assert part.lengths is not None
        assert part.lengths.dtype == torch.int64
        assert part.naive is None
    assert [len(part) for part in parts(dataset)] == [72, 9, 9]
    assert [torch.bincount(part.y).tolist() for part in parts(dataset)] == [[16, 24, 32], [2, 3, 4], [2, 3, 4]]


def test_text_and_label_columns_can_be_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path, TEXTS, header="n,stars,Review")
    assert read_back(load(file=path, text="Review", label="stars")) == read_back(
        load(files=write_files(tmp_path, TEXTS))
    )


def test_texts_become_words(tmp_path: Path) -> None:
    lines = ["It's GREAT,  really -- café no. 9!"] * 10
    dataset = load(files=write_files(tmp_path, {"a": lines, "b": ["bad"] * 10}))
    assert ("a", "it's great , really - - café no . 9 !") in read_back(dataset)


def test_a_byte_order_mark_and_windows_line_ends_are_not_part_of_a_text(tmp_path: Path) -> None:
    files = write_files(tmp_path, {"a": ["x"] * 10, "b": ["y"] * 10})
    Path(files["a"]).write_bytes(b"\xef\xbb\xbf" + b"x\r\n" * 10 + b"\r\n\n")
    assert dict(Counter(read_back(load(files=files)))) == {("a", "x"): 10, ("b", "y"): 10}


@rewrites_files
@given(
    st.lists(st.sampled_from(["a b c", "b c", "c c c d", "e", "f g"]), min_size=20, max_size=40),
    st.integers(1, 4),
    st.integers(3, 9),
)
def test_the_vocabulary_is_that_of_the_training_part(
    tmp_path: Path, texts: list[str], min_count: int, max_vocabulary: int
) -> None:
    """Against a count of the words in the texts of the training part."""
    files = write_files(tmp_path, {"x": texts, "y": texts})
    whole = load(files=files)  # here every word of the training part has a token
    words = Counter(int(token) for token in whole.train.x.flatten() if token != 0)
    counts = sorted((-count, whole.signature.vocabulary[token]) for token, count in words.items() if count >= min_count)
    dataset = load(files=files, min_count=min_count, max_vocabulary=max_vocabulary)
    vocabulary = ("<pad>", "<unk>", *(word for _, word in counts[: max_vocabulary - 2]))
    assert dataset.signature.vocabulary == vocabulary
    assert 1 not in whole.train.x
    for small, large in zip(parts(dataset), parts(whole), strict=True):
        for got, want in zip(small.x.flatten().tolist(), large.x.flatten().tolist(), strict=True):
            word = whole.signature.vocabulary[want]
            assert got == (vocabulary.index(word) if word in vocabulary else 1)


def test_long_texts_are_cut(tmp_path: Path) -> None:
    files = write_files(tmp_path, {"a": ["one two three four"] * 10, "b": ["five"] * 10})
    dataset = load(files=files, max_length=2)
    assert dataset.train.x.shape == (16, 2)
    assert dict(Counter(read_back(dataset))) == {("a", "one two"): 10, ("b", "five"): 10}


def test_a_huge_line_is_a_text(tmp_path: Path) -> None:
    files = write_files(tmp_path, {"a": ["word " * 100_000] + ["x"] * 9, "b": ["y"] * 10})
    assert load(files=files).time == 100_000


def test_lengths_can_be_withheld_from_the_model(tmp_path: Path) -> None:
    files = write_files(tmp_path, TEXTS)
    default, unmarked = load(files=files), load(files=files, lengths=False)
    assert (default.signature.lengths, unmarked.signature.lengths) == (True, False)
    for with_lengths, without in zip(parts(default), parts(unmarked), strict=True):
        assert without.lengths is None
        assert with_lengths.x.equal(without.x)
        assert with_lengths.lengths is not None
        assert with_lengths.lengths.equal((with_lengths.x != 0).sum(1))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["10", "2", "1"], ("1", "2", "10")),
        (["word", "10", "9.5", "-1", "1e1", "Word"], ("-1", "9.5", "10", "1e1", "Word", "word")),
        (["1", "01", "1.0", "2"], ("01", "1", "1.0", "2")),
        (["nan", "inf", "5", "1_0"], ("5", "1_0", "inf", "nan")),
    ],
)
def test_labels_that_are_numbers_are_sorted_as_numbers(
    tmp_path: Path, labels: list[str], expected: tuple[str, ...]
) -> None:
    dataset = load(file=write_csv(tmp_path, {label: [f"text of {label}"] * 10 for label in labels}))
    assert dataset.signature.labels == expected
    assert dict(read_back(dataset)) == {
        label: " ".join(zoo.TOKENIZERS["words2"](f"text of {label}")) for label in labels
    }


def test_texts_in_two_parts_are_counted(tmp_path: Path) -> None:
    """Against brute force over the tokens of each part; case and white space do not distinguish texts."""
    twice = [*numbered("a", 30), *numbered("A", 10), *(text.replace(" ", "  ") for text in numbered("a", 10))]
    dataset = load(files=write_files(tmp_path, {"a": twice, "b": numbered("b", 50)}), validation=0.1, test=0.1)
    train, *others = ([row[row != 0].tolist() for row in part.x] for part in parts(dataset))
    assert 1 not in dataset.test.x
    counted = {
        name: sum(text in train for text in part) for name, part in zip(("validation", "test"), others, strict=True)
    }
    assert dataset.repeated == counted
    assert sum(counted.values()) > 2


def test_texts_are_compared_as_a_whole_and_not_as_cut_for_the_model(tmp_path: Path) -> None:
    files = write_files(tmp_path, {"a": numbered("a", 30), "b": numbered("b", 30)})
    assert load(files=files, max_length=1).repeated == {"validation": 0, "test": 0}


def test_texts_beyond_the_shares_are_not_used(tmp_path: Path) -> None:
    dataset = load(files=write_files(tmp_path, TEXTS), train=0.5, validation=0.2, test=0.1)
    assert [len(part) for part in parts(dataset)] == [45, 18, 9]
    texts = read_back(dataset)
    assert len(set(texts)) == len(texts) == 72


def test_the_split_never_changes(tmp_path: Path) -> None:
    """Otherwise results of different versions could not be compared."""
    dataset = load(files=write_files(tmp_path, TEXTS))
    texts = [" ".join(dataset.signature.vocabulary[token] for token in row if token) for row in dataset.test.x.tolist()]
    assert texts == [
        "none two eight",
        "pos two two",
        "pos one",
        "pos three four",
        "neg two three",
        "none eight",
        "none three four",
        "neg one",
        "pos two one",
    ]


# The embedded texts


def test_the_embedded_texts() -> None:
    dataset = load()
    assert dataset.signature.labels == LABELS
    assert [len(part) for part in parts(dataset)] == [3200, 400, 400]
    assert [part.y.float().mean().item() for part in parts(dataset)] == [0.5, 0.5, 0.5]
    assert not any((part.x == 1).any() for part in parts(dataset)), "every word is known"
    texts = [text for _, text in read_back(dataset)]
    assert len(set(texts)) == len(texts) == 4000


def test_the_embedded_texts_never_change() -> None:
    texts, labels = sentences()
    assert texts[:2] == [
        "although the opening was very good, the music was clumsy.",
        "the ending was not bad.",
    ]
    assert labels == [0, 1] * 2000
    assert hashlib.sha256("\n".join(texts).encode()).hexdigest().startswith("222404b2689484a6")


def test_order_matters_in_the_embedded_texts() -> None:
    """The same words occur in texts of both labels, and a classifier of word counts is hardly better than chance."""
    texts, labels = sentences()
    bags: dict[str, set[int]] = {}
    for text, label in zip(texts, labels, strict=True):
        bags.setdefault(" ".join(sorted(zoo.words(text))), set()).add(label)
    assert any(len(both) == 2 for both in bags.values())
    counts = CountVectorizer().fit_transform(texts)
    classifier = LogisticRegression(max_iter=1000).fit(counts[:3200], labels[:3200])
    assert classifier.score(counts[3200:], labels[3200:]) < 0.6


@needs_reviews
def test_real_reviews() -> None:
    dataset = load(files={"pos": str(REVIEWS / "rt-polarity.pos"), "neg": str(REVIEWS / "rt-polarity.neg")})
    assert [len(part) for part in parts(dataset)] == [8529, 1066, 1067]
    assert all(abs(part.y.float().mean().item() - 0.5) < 1e-3 for part in parts(dataset))
    assert len(dataset.signature.vocabulary) == 10_000
    assert dataset.signature.vocabulary[:6] == ("<pad>", "<unk>", ".", "the", ",", "a")
    assert dataset.repeated == {"validation": 0, "test": 0}  # all 10,662 differ


# Bad texts

TEN = "text of ten\n" * 10
BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "{path}: contains no texts, expected one per line"),
    "empty lines alone": ("\n \n", "{path}: contains no texts, expected one per line"),
    "empty line": ("a\n\t\nb\n", "{path}:2: is an empty line between texts; fill it or remove it"),
    "empty first line": ("\n" + TEN, "{path}:1: is an empty line between texts"),
    "not UTF-8": (b"caf\xc3\xa9\ncaf\xe9\n", "{path}:2: is not UTF-8 text; give a text file saved as UTF-8"),
    "UTF-16": ("a\nb\n".encode("utf-16"), "{path}:1: is not UTF-8 text"),
    "one text": (
        "one\n",
        "data.files: too few texts for each of 2 labels in each part: 1 of 11 texts have the label 'a', and the parts "
        "take 8, 1 and 2; add texts or change the shares",
    ),
    "two texts": (
        "one\n" * 2,
        "data.files: too few texts for each of 2 labels in each part: 2 of 12 texts have ",
    ),
}
BAD_CSV: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "{path}: is empty, expected a line with the names of the columns"),
    "header alone": ("text,label\n", "{path}: has no rows below the names of its columns, expected at least one"),
    "no header": ("1,2\n", "{path}:1: contains no names of columns; add them as the first line"),
    "no texts": (
        "txet,label\nx,a\n", "{path}: has no column 'text' (did you mean 'txet'?), which data.text names; columns: 'tx"
    ),
    "no labels": ("text,class\nx,a\n", "{path}: has no column 'label', which data.label names; columns: 'text', 'cl"),
    "column twice": ("text,label,text\nx,a,y\n", "{path}:1:3: names a second column 'text'; rename one of them"),
    "row too short": ("text,label\nx,a\ny\n", "{path}:3: columns: 1, expected 2 as in the first line"),
    "empty text": ("text,label\nx,a\n ,b\n", "{path}:3:1: 'text' is empty; fill it in"),
    "empty label": ("text,label\nx,a\ny,\n", "{path}:3:2: 'label' is empty; fill it in"),
    "not UTF-8": (b"text,label\ncaf\xe9,a\n", "{path}:2: is not UTF-8 text"),
    "open quote": ('text,label\n"x,a\n', "{path}:2: is not CSV: unexpected end of data; correct the line"),
    "one label": ("text,label\n" + "x,a\n" * 20, "{path}: all texts have the label 'a'; add texts with another"),
    "labels of one text": (
        "text,label\n" + "".join(f"x,a{i}\n" for i in range(20)),
        "{path}: too few texts for each of 20 labels in each part: 1 of 20 texts have the label 'a",
    ),
}  # fmt: skip


def message_of(**fields: Any) -> str:
    message = error_of(lambda: load(**fields))
    assert len(message) < 400  # two lines and a half, and a path
    return message


@pytest.mark.parametrize(("content", "expected"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_files(tmp_path: Path, content: str | bytes, expected: str) -> None:
    files = write_files(tmp_path, {"a": ["x"] * 10, "b": ["y"] * 10})
    Path(files["a"]).write_bytes(content.encode() if isinstance(content, str) else content)
    assert message_of(files=files).startswith(expected.format(path=files["a"]))


@pytest.mark.parametrize(("content", "expected"), BAD_CSV.values(), ids=BAD_CSV.keys())
def test_bad_csv(tmp_path: Path, content: str | bytes, expected: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert message_of(file=str(path)).startswith(expected.format(path=path))


def test_bad_choices(tmp_path: Path) -> None:
    files = write_files(tmp_path, TEXTS)
    absent = str(tmp_path / "absent")
    assert message_of(files=files, folder="x") == (
        "data.files: is given with data.folder; give only one of files, folder and file"
    )
    assert message_of(folder="x", file="y").startswith("data.folder: is given with data.file; give only one of")
    assert message_of(files={}) == "data.files: is empty, expected a file for each label"
    assert message_of(files={"pos": files["pos"]}).startswith("data.files: all texts have the label 'pos'; add texts")
    assert message_of(files={" ": files["pos"]}).startswith(f"data.files: the label of {files['pos']} is empty")
    assert message_of(files={"a": absent}) == f"{absent}: there is no such file; correct the path"
    assert message_of(file=absent) == f"{absent}: there is no such file; correct the path"
    assert message_of(files=files, train=0.9) == (
        "data.train: the parts add up to 1.1, expected at most 1; lower one of them"
    )


def test_texts_that_need_too_much_memory_when_padded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.memory.machine_memory", lambda: 20 * 50 * 16)
    files = write_files(tmp_path, {"a": ["word " * 51] + ["x"] * 9, "b": ["y"] * 10})
    with pytest.raises(zoo.SpecError) as caught:
        load(files=files)
    assert str(caught.value) == (
        "data.max_length: 20 texts, padded to the 51 tokens of the longest, take at least 0.0 GB of memory, and this "
        "machine has 0.0 GB; choose a lower data.max_length"
    )
    assert load(files=files, max_length=50).time == 50


def test_bad_folders(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    assert message_of(folder=absent) == (
        f"{absent}: cannot be read (No such file or directory), expected a folder that contains a folder for each "
        "label; correct data.folder"
    )
    assert message_of(folder="zero\0byte") == (
        r"'zero\x00byte': has a control character in its name, '\x00'; give it another name"
    )
    assert message_of(folder=str(tmp_path)) == (
        f"{tmp_path}: contains no texts, expected a folder for each label with .txt files in it"
    )
    folder = Path(write_folder(tmp_path, TEXTS))
    (folder / "README").write_text("no label")
    (folder / ".hidden").mkdir()
    assert load(folder=str(folder)).signature.labels == ("neg", "none", "pos")
    (folder / "pos" / "x.txt").write_text(" \n")
    assert message_of(folder=str(folder)) == (
        f"{folder / 'pos' / 'x.txt'}: is empty, expected a text; fill it or remove it"
    )
    (folder / "pos" / "x.txt").write_bytes(b"a\n\xff\n")
    assert message_of(folder=str(folder)).startswith(f"{folder / 'pos' / 'x.txt'}:2: is not UTF-8 text")
    (folder / "pos" / "x.txt").unlink()
    (folder / "many").mkdir()
    assert message_of(folder=str(folder)) == (
        f"{folder / 'many'}: contains no .txt file; add one for each text or remove the folder"
    )


@rewrites_files
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), st.floats(0.05, 0.9), st.floats(0.05, 0.5))
def test_every_label_is_in_every_part_or_the_error_is_one_line(
    tmp_path: Path, labels: list[str], train: float, validation: float
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text,label\n" + "".join(f"t{n},{label}\n" for n, label in enumerate(labels)))
    try:
        dataset = load(file=str(path), train=train, validation=validation, test=0.2)
    except zoo.DataError as error:
        message = str(error)
    else:
        labels_of_parts = [np.unique(part.y.numpy()).tolist() for part in parts(dataset)]
        assert labels_of_parts == [list(range(len(set(labels))))] * 3
        return
    assert message.splitlines() == [message]
