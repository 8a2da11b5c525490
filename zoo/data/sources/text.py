"""The data source ``text``: labelled texts as sequences of words, subwords or characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

import zoo
from zoo.data.sources.sentiment import LABELS, sentences
from zoo.data.sources.text_files import Texts, from_files, from_folder, from_table

__all__ = ["Text", "zoo_register_data"]

Share = Annotated[float, Field(gt=0, lt=1)]
_SUBWORDS = 8_000
"""Largest number of subwords, where the spec does not set it."""
_SHOWN = 10
"""Largest number of labels that the summary counts."""


class Text(zoo.DataSource):
    """Texts from a file for each label, a folder for each label or a table; without any, generated reviews.

    The split is random, always the same for the same texts, and stratified by label. The vocabulary is that of the
    training part. Texts are padded at their end with the token 0.
    """

    name = "text"

    class Config(zoo.Config):
        earlier: ClassVar[Mapping[str, Any]] = {"tokenizer": "words"}

        files: dict[str, str] | None = None
        """For each label a file in UTF-8 with one text per line; relative to the current folder."""
        folder: str | None = None
        """A folder that contains a folder for each label, which has the label as its name and one .txt file for each
        text; relative to the current folder."""
        file: str | None = None
        """A table with a column of texts and one of labels: CSV, TSV, JSON lines, Parquet or Arrow; relative to the
        current folder."""
        text: str = "text"
        """Name of the column of 'file' that contains the texts."""
        label: str = "label"
        """Name of the column of 'file' that contains the labels."""
        separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
        """Character between two cells of a CSV file; recognised when left out."""
        encoding: str | None = None
        """Encoding of a CSV file, such as cp1252. When left out, UTF-8, or UTF-16 where the file begins with its
        mark."""
        null_values: tuple[str, ...] | None = None
        """Cells that stand for a missing text or label, beside empty ones; none when left out."""
        tokenizer: Literal["words2", "words", "subwords", "characters"] = "words2"
        """How a text becomes tokens: words2: Unicode words, numbers, emoji and signs, without case; words: the rule of
        earlier versions; subwords: frequent parts of words, which need the extra recurrent-zoo[subwords]; characters:
        each character, with its case."""
        vocabulary_size: Annotated[int, Field(ge=257)] | None = None
        """Largest number of subwords, those of the 256 bytes and padding included; 8000 when left out."""
        tokenizer_file: str | None = None
        """A tokenizer.json of Hugging Face with the subwords, instead of learning them; relative to the current
        folder."""
        min_count: zoo.Size = 1
        """Smallest number of occurrences in the training part of a word with a token of its own, or of two neighbours
        that become one subword."""
        max_vocabulary: Annotated[int, Field(ge=3)] = 10_000
        """Largest number of words or characters, those for padding and unknown ones included; the most frequent are
        kept."""
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
        labels = zoo.sorted_labels(texts.labels)
        if len(labels) < 2:
            raise zoo.DataError(f"{texts.source}: all texts have the label {labels[0]!r}; add texts with another label")
        numbers = {label: number for number, label in enumerate(labels)}
        classes = np.array([numbers[label] for label in texts.labels])
        parts = _split(config, texts, classes)
        tokens = _tokens(config, texts, parts[0])
        count, longest = len(tokens.ids), max(map(len, tokens.ids))
        zoo.require_memory(
            longest * count * 8 * 2,  # all texts in one tensor, and again in three parts
            f"{count:,} texts, padded to the {longest:,} tokens of the longest,",
            {"data.max_length": longest},
        )
        padded = torch.zeros(count, longest, dtype=torch.int64)
        for row, ids in zip(padded, tokens.ids, strict=True):
            row[: len(ids)] = torch.tensor(ids)
        lengths = torch.tensor([*map(len, tokens.ids)]) if config.lengths else None
        train, validation, test = (
            zoo.Split(padded[rows], torch.from_numpy(classes[rows]), None if lengths is None else lengths[rows])
            for rows in parts
        )
        return zoo.Dataset(
            train=train,
            validation=validation,
            test=test,
            signature=zoo.Signature(
                vocabulary=tokens.vocabulary,
                tokenizer=config.tokenizer,
                subwords=tokens.subwords,
                text=_form(config),
                lengths=config.lengths,
                labels=tuple(labels),
            ),
            description=_summary(config, texts, tokens, parts),
            repeated=_repeated(tokens.whole, parts),
        )


def _repeated(texts: Sequence[Sequence[str | int]], parts: Sequence[NDArray[np.int64]]) -> dict[str, int]:
    """Count the texts of validation and test that the training part contains too, compared by their tokens."""
    train, validation, test = ([tuple(texts[row]) for row in rows] for rows in parts)
    learnt = set(train)
    return {name: sum(text in learnt for text in part) for name, part in (("validation", validation), ("test", test))}


def _texts(config: Text.Config) -> Texts:
    given = [name for name in ("files", "folder", "file") if getattr(config, name) is not None]
    if len(given) > 1:
        raise zoo.DataError(f"data.{given[0]}: is given with data.{given[1]}; give only one of files, folder and file")
    if config.file is not None:
        return from_table(Path(config.file), _form(config), config.label)
    if unread := [name for name in ("separator", "encoding", "null_values") if getattr(config, name) is not None]:
        raise zoo.DataError(f"data.{unread[0]}: describes a table; give one with data.file, or leave it out")
    if config.files is not None:
        return from_files(config.files)
    if config.folder is not None:
        return from_folder(Path(config.folder))
    reviews, classes = sentences()
    labels = [LABELS[number] for number in classes]
    return Texts("the embedded texts", "Generated reviews", reviews, labels, lambda row: f"the embedded text {row}")


def _form(config: Text.Config) -> zoo.TextForm:
    dialect = zoo.Dialect(separator=config.separator, encoding=config.encoding, null_values=config.null_values)
    return zoo.TextForm(config.text, dialect)


@dataclass(frozen=True)
class _Tokens:
    """Texts as token ids."""

    vocabulary: tuple[str, ...]
    ids: Sequence[Sequence[int]]
    """Those of each text, at most ``max_length``."""
    whole: Sequence[Sequence[str | int]]
    """All tokens of each text, by which texts are compared."""
    subwords: str | None = None
    """JSON of the tokeniser ``subwords``; None for the others."""


def _tokens(config: Text.Config, texts: Texts, train: NDArray[np.int64]) -> _Tokens:
    """Return the tokens of all texts; vocabulary and subwords are those of the texts ``train``.

    Raises:
        DataError: fields contradict each other, or a text has no tokens.
    """
    if config.tokenizer == "subwords":
        tokens = _subwords(config, texts, train)
    else:
        if given := [name for name in ("vocabulary_size", "tokenizer_file") if getattr(config, name) is not None]:
            raise zoo.DataError(f"data.{given[0]}: is for subwords; leave it out, or set data.tokenizer to 'subwords'")
        whole = [*map(zoo.TOKENIZERS[config.tokenizer], texts.texts)]
        cut = [text[: config.max_length] for text in whole]
        vocabulary = zoo.vocabulary((cut[row] for row in train), config.min_count, config.max_vocabulary)
        ids = {token: number for number, token in enumerate(vocabulary)}
        tokens = _Tokens(vocabulary, [zoo.encode(text, ids) for text in cut], whole)
    if (empty := next((row for row, text in enumerate(tokens.ids) if not text), None)) is not None:
        raise zoo.DataError(f"{texts.place(empty)}: has no visible character, expected a text; remove it")
    return tokens


def _subwords(config: Text.Config, texts: Texts, train: NDArray[np.int64]) -> _Tokens:
    if config.tokenizer_file is None:
        size = config.vocabulary_size or _SUBWORDS
        subwords = zoo.Subwords.learn((texts.texts[row] for row in train), size, config.min_count)
    elif config.vocabulary_size is None:
        subwords = zoo.Subwords.read(Path(config.tokenizer_file))
    else:
        raise zoo.DataError("data.vocabulary_size: is that of data.tokenizer_file; leave one of the two out")
    whole = subwords.ids(texts.texts)
    return _Tokens(subwords.vocabulary, [text[: config.max_length] for text in whole], whole, subwords.json)


def _summary(config: Text.Config, texts: Texts, tokens: _Tokens, parts: Sequence[NDArray[np.int64]]) -> str:
    """Return what was read and how it was divided, for the model card."""
    counts = Counter(texts.labels)
    labels = zoo.sorted_labels(counts)
    shown = ", ".join(f"{label} {counts[label]:,}" for label in labels[:_SHOWN])
    more = f" and {len(labels) - _SHOWN:,} more labels" if len(labels) > _SHOWN else ""
    lengths = [len(text) for text in tokens.whole]
    unit = "characters" if config.tokenizer == "characters" else "tokens"
    cut = sum(len(ids) < length for ids, length in zip(tokens.ids, lengths, strict=True))
    train, validation, test = map(len, parts)
    unused = len(lengths) - train - validation - test
    return "".join(
        (
            f"{texts.description}: {len(lengths):,} texts of {len(labels)} labels ({shown}{more}). ",
            f"Length in {unit}: median {median(lengths):,.0f}, longest {max(lengths):,}",
            f"; {cut:,} texts are cut after {config.max_length:,}. " if cut else ". ",
            f"A fixed random split, stratified by label, into {train:,} for training, {validation:,} for validation ",
            f"and {test:,} for testing",
            f"; {unused:,} are not used, since the shares add up to less than 1. " if unused else ". ",
            f"{len(tokens.vocabulary):,} tokens ({config.tokenizer}) from ",
            "the training part." if config.tokenizer_file is None else f"{Path(config.tokenizer_file).name}.",
        )
    )


def _split(config: Text.Config, texts: Texts, classes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
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
