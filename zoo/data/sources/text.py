"""The data source ``text``: labelled texts as sequences of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

import zoo
from zoo.data.sources.sentiment import LABELS, sentences

__all__ = ["Text", "zoo_register_data"]

Share = Annotated[float, Field(gt=0, lt=1)]


class Text(zoo.DataSource):
    """Texts from a file for each label, a folder for each label or a CSV file; without any, generated reviews.

    The split is random, always the same for the same texts, and stratified by label. The vocabulary is that of the
    training part. Texts are padded at their end with the token 0.
    """

    name = "text"

    class Config(zoo.Config):
        files: dict[str, str] | None = None
        """For each label a file in UTF-8 with one text per line; relative to the current folder."""
        folder: str | None = None
        """A folder that contains a folder for each label, which has the label as its name and one .txt file for each
        text; relative to the current folder."""
        file: str | None = None
        """A CSV file in UTF-8 with a column of texts and one of labels; relative to the current folder."""
        text: str = "text"
        """Name of the column of 'file' that contains the texts."""
        label: str = "label"
        """Name of the column of 'file' that contains the labels."""
        min_count: zoo.Size = 1
        """Smallest number of occurrences in the training part of a word with a token of its own."""
        max_vocabulary: Annotated[int, Field(ge=3)] = 10_000
        """Largest number of tokens, those for padding and unknown words included; the most frequent words are kept."""
        max_length: zoo.Size | None = None
        """Number of tokens kept of each text, from its beginning; all when left out."""
        lengths: bool = True
        """Whether the model receives the length of each text. If not, it reads the padding as part of the text, a
        common mistake that this option demonstrates."""
        train: Share = 0.8
        """Share of the texts for training."""
        validation: Share = 0.1
        """Share of the texts for validation."""
        test: Share = 0.1
        """Share of the texts for testing. The rest is not used."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, Text.Config)
        texts = _texts(config)
        labels = sorted(set(texts.labels), key=_order)
        if len(labels) < 2:
            raise zoo.DataError(f"{texts.source}: all texts have the label {labels[0]!r}; add texts with another label")
        numbers = {label: number for number, label in enumerate(labels)}
        classes = np.array([numbers[label] for label in texts.labels])
        parts = _split(config, texts, classes)
        whole = [zoo.words(text) for text in texts.texts]
        tokens = [text[: config.max_length] for text in whole]
        vocabulary = zoo.vocabulary((tokens[i] for i in parts[0]), config.min_count, config.max_vocabulary)
        longest = max(map(len, tokens))
        zoo.require_memory(
            longest * len(tokens) * 8 * 2,  # all texts in one tensor, and again in three parts
            f"{len(tokens):,} texts, padded to the {longest:,} tokens of the longest,",
            {"data.max_length": longest},
        )
        ids = {token: number for number, token in enumerate(vocabulary)}
        padded = torch.zeros(len(tokens), longest, dtype=torch.int64)
        for row, text in zip(padded, tokens, strict=True):
            row[: len(text)] = torch.tensor(zoo.encode(text, ids))
        lengths = torch.tensor([len(text) for text in tokens]) if config.lengths else None
        train, validation, test = (
            zoo.Split(padded[rows], torch.from_numpy(classes[rows]), None if lengths is None else lengths[rows])
            for rows in parts
        )
        return zoo.Dataset(
            train=train,
            validation=validation,
            test=test,
            signature=zoo.Signature(
                vocabulary=vocabulary, tokenizer="words", lengths=config.lengths, labels=tuple(labels)
            ),
            description=(
                f"{texts.description}: {len(tokens):,} texts of {len(labels)} labels. A fixed random split, stratified "
                f"by label, into {len(train):,} for training, {len(validation):,} for validation and {len(test):,} for "
                f"testing. {len(vocabulary):,} tokens from the training part."
            ),
            repeated=_repeated(whole, parts),
        )


def _order(label: str) -> tuple[bool, float, str]:
    """Return the sort key of a label: numbers by value, equal ones such as 1 and 01 by spelling; then words."""
    number = zoo.cell_number(label)
    if number is None or not isfinite(number):
        return True, 0.0, label
    return False, number, label


def _repeated(texts: Sequence[Sequence[str]], parts: Sequence[NDArray[np.int64]]) -> dict[str, int]:
    """Count the texts of validation and test that the training part contains too, compared by their words."""
    train, validation, test = ([tuple(texts[row]) for row in rows] for rows in parts)
    learnt = set(train)
    return {name: sum(text in learnt for text in part) for name, part in (("validation", validation), ("test", test))}


@dataclass(frozen=True)
class _Texts:
    """Texts, none of them empty, and the label of each."""

    source: str
    """Name of the whole collection in messages."""
    description: str
    """Name of the collection in the description of the data set."""
    texts: Sequence[str]
    labels: Sequence[str]


def _texts(config: Text.Config) -> _Texts:
    given = [name for name in ("files", "folder", "file") if getattr(config, name) is not None]
    if len(given) > 1:
        raise zoo.DataError(f"data.{given[0]}: is given with data.{given[1]}; give only one of files, folder and file")
    if config.files is not None:
        return _from_files(config.files)
    if config.folder is not None:
        return _from_folder(Path(config.folder))
    if config.file is not None:
        return _from_csv(Path(config.file), config.text, config.label)
    reviews, classes = sentences()
    return _Texts("the embedded texts", "Generated reviews", reviews, [LABELS[number] for number in classes])


def _from_files(files: Mapping[str, str]) -> _Texts:
    texts: list[str] = []
    labels: list[str] = []
    for label, name in files.items():
        if not label.strip():
            raise zoo.DataError(f"data.files: the label of {name} is empty; give it a name")
        lines = _lines(Path(name))
        texts += lines
        labels += [label] * len(lines)
    if not texts:
        raise zoo.DataError("data.files: is empty, expected a file for each label")
    names = ", ".join(Path(name).name for name in files.values())
    return _Texts("data.files", names, texts, labels)


def _lines(path: Path) -> list[str]:
    """Return the lines of a file without surrounding white space; empty lines are allowed at the end only."""
    lines: list[str] = []
    empty = None
    with zoo.open_data(path) as stream:
        for number, line in enumerate(zoo.text_lines(path, stream), 1):
            if not line.strip():
                empty = empty or number
            elif empty:
                raise zoo.DataError(f"{path}:{empty}: is an empty line between texts; fill it or remove it")
            else:
                lines.append(line.strip())
    if not lines:
        raise zoo.DataError(f"{path}: contains no texts, expected one per line")
    return lines


def _from_folder(folder: Path) -> _Texts:
    if fault := zoo.name_fault(folder):
        raise zoo.DataError(fault)
    try:
        labels = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        files = [(path, label.name) for label in labels for path in sorted(label.glob("*.txt"))]
    except OSError as error:
        raise zoo.DataError(
            f"{folder}: cannot be read ({error.strerror or error}), expected a folder that contains a folder for each "
            "label; correct data.folder"
        ) from error
    texts = []
    for path, _ in files:
        with zoo.open_data(path) as stream:
            texts.append("".join(zoo.text_lines(path, stream)).strip())
        if not texts[-1]:
            raise zoo.DataError(f"{path}: is empty, expected a text; fill it or remove it")
    if not files:
        raise zoo.DataError(f"{folder}: contains no texts, expected a folder for each label with .txt files in it")
    if lacking := {path.name for path in labels} - {label for _, label in files}:
        raise zoo.DataError(
            f"{folder / min(lacking)}: contains no .txt file; add one for each text or remove the folder"
        )
    return _Texts(str(folder), folder.name, texts, [label for _, label in files])


def _from_csv(path: Path, text: str, label: str) -> _Texts:
    table = zoo.read_table(path)
    columns = []
    for name, field_name in ((text, "text"), (label, "label")):
        table.require(name, field_name)
        cells = [cell or "" for cell in table.texts(name)]
        if "" in cells:
            raise zoo.DataError(f"{table.place(cells.index(''), name)}: {name!r} is empty; fill it in")
        columns.append(cells)
    texts, labels = columns
    return _Texts(str(path), path.name, texts, labels)


def _split(config: Text.Config, texts: _Texts, classes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the rows of each part.

    Raises:
        DataError: the shares exceed 1, or some part lacks some label.
    """
    from sklearn.model_selection import train_test_split  # slow to import, and needed only when this source is loaded

    count = len(classes)
    shares = config.train, config.validation, config.test
    ends = [int(sum(shares[: number + 1]) * count + 1e-9) for number in range(3)]
    sizes = [ends[0], ends[1] - ends[0], ends[2] - ends[1]]
    if ends[2] > count:
        raise zoo.DataError(f"data.train: the parts add up to {sum(shares):g}, expected at most 1; lower one of them")
    try:
        train, rest = train_test_split(
            np.arange(count), train_size=sizes[0], test_size=count - sizes[0], random_state=0, stratify=classes
        )
        validation, test = train_test_split(
            rest, train_size=sizes[1], test_size=sizes[2], random_state=0, stratify=classes[rest]
        )
        parts = [train, validation, test]
    except ValueError:  # scikit-learn's error for a class or a part that is too small
        parts = []
    labels = len(set(texts.labels))
    if not parts or any(len(set(classes[part].tolist())) < labels for part in parts):
        label, rarest = Counter(texts.labels).most_common()[-1]
        raise zoo.DataError(
            f"{texts.source}: too few texts for each of {labels:,} labels in each part: {rarest:,} of {count:,} texts "
            f"have the label {label!r}, and the parts take {sizes[0]:,}, {sizes[1]:,} and {sizes[2]:,}; add texts or "
            "change the shares"
        )
    return parts


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    """Register `Text` as the data source ``text``."""
    return [Text]
