"""Subwords: learning, files of a user, prediction from the signature alone, and the missing extra."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import zoo
from tests.data.common import error_of, parts
from tests.data.test_data_text import load
from zoo.data.sources.sentiment import sentences
from zoo.data.text_ids import text_ids

TEXTS = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog", "THE CAT"] * 5


def write(folder: Path, texts: list[str]) -> str:
    """Write a table with two labels in turn and return its path."""
    rows = [json.dumps({"text": text, "label": "ab"[number % 2]}) for number, text in enumerate(texts)]
    (folder / "x.jsonl").write_text("\n".join(rows))
    return str(folder / "x.jsonl")


def kept(signature: zoo.Signature) -> zoo.Signature:
    """Return a signature as a run and an exported file keep it."""
    return zoo.Signature.from_dict(json.loads(json.dumps(signature.to_dict())))


def test_frequent_words_become_tokens() -> None:
    subwords = zoo.Subwords.learn(TEXTS, 280)
    assert 257 < len(subwords.vocabulary) <= 280
    assert subwords.vocabulary[0] == "<pad>"
    (ids,) = subwords.ids(["The cat"])
    assert [subwords.vocabulary[token] for token in ids] == ["Ġthe", "Ġcat"]


def test_learning_is_deterministic() -> None:
    texts, _ = sentences()
    assert zoo.Subwords.learn(texts, 500).json == zoo.Subwords.learn(texts, 500).json


def test_frequency_decides_what_becomes_a_token() -> None:
    assert len(zoo.Subwords.learn(TEXTS, 1000, 1000).vocabulary) == 257
    assert 257 < len(zoo.Subwords.learn(TEXTS, 1000, 10).vocabulary) < len(zoo.Subwords.learn(TEXTS, 1000).vocabulary)


@given(st.text())
def test_every_text_has_tokens_and_none_is_padding(text: str) -> None:
    """Against the decoder of the library: nothing is lost but case and the form of composed characters."""
    subwords = zoo.Subwords.learn(TEXTS, 280)
    (ids,) = subwords.ids([text])
    assert 0 not in ids
    tokenizer = Tokenizer.from_str(subwords.json)
    assert tokenizer.normalizer is not None
    assert tokenizer.decode(ids, skip_special_tokens=False).removeprefix(" ") == (
        tokenizer.normalizer.normalize_str(text).removeprefix(" ")
    )


def test_a_written_special_token_is_text() -> None:
    assert 0 not in zoo.Subwords.learn(TEXTS, 280).ids(["<pad> the <pad>"])[0]


def test_a_data_set_learns_from_its_training_part(tmp_path: Path) -> None:
    texts = [f"{word} {number}" for number in range(40) for word in ("good", "bad")]
    dataset = load(file=write(tmp_path, texts), tokenizer="subwords", vocabulary_size=300)
    signature = kept(dataset.signature)
    train = [text for text in texts if any(torch.equal(row(text, signature), x) for x in trained(dataset))]
    assert len(train) == len(dataset.train)
    assert zoo.Subwords.learn(sorted(train), 300).json == signature.subwords
    assert signature.subwords is not None
    assert signature.vocabulary == zoo.Subwords(signature.subwords).vocabulary
    assert "300 tokens (subwords) from the training part." in dataset.description
    assert dataset.repeated == {"validation": 0, "test": 0}


def row(text: str, signature: zoo.Signature) -> torch.Tensor:
    return torch.from_numpy(text_ids(text, signature, ""))


def trained(dataset: zoo.Dataset) -> list[torch.Tensor]:
    """Return the token ids of each training sequence, without padding."""
    assert dataset.train.lengths is not None
    return [x[:length] for x, length in zip(dataset.train.x, dataset.train.lengths.tolist(), strict=True)]


def own_tokenizer(folder: Path) -> Path:
    """Write a tokenizer.json with a hole in its ids, tokens around each text, cutting and padding."""
    words = {"[CLS]": 0, "good": 1, "bad": 2, "[UNK]": 5}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))  # noqa: S106  (no password)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 0)])
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def test_a_tokenizer_of_the_user(tmp_path: Path) -> None:
    path = own_tokenizer(tmp_path)
    file = write(tmp_path, ["good bad good", "bad films"] * 10)
    dataset = load(file=file, tokenizer="subwords", tokenizer_file=str(path), max_length=3)
    path.unlink()
    signature = kept(dataset.signature)
    assert signature.vocabulary == ("[CLS]", "good", "bad", "<unused 3>", "<unused 4>", "[UNK]")
    assert text_ids("good good films bad", signature, "").tolist() == [1, 1, 5, 2]
    sequences = {tuple(x.tolist()) for part in parts(dataset) for x in part.x}
    assert sequences == {(1, 2, 1), (2, 5, 0)}
    assert "6 tokens (subwords) from tokenizer.json." in dataset.description


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is no tokenizer.json of Hugging Face ("),
        (b"{}", "is no tokenizer.json of Hugging Face ("),
        (b"\xff\xfe", "is no tokenizer.json of Hugging Face ("),
        (Tokenizer(models.BPE()).to_str().encode(), "has no tokens; give the file of a trained tokenizer"),
    ],
)
def test_files_that_are_no_tokenizer(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    message = error_of(lambda: load(tokenizer="subwords", tokenizer_file=str(path)))
    assert message.startswith(f"{path}: {expected}")


def test_a_tokenizer_that_a_newer_package_wrote(tmp_path: Path) -> None:
    signature = zoo.Signature(vocabulary=("x",), tokenizer="subwords", subwords='{"version": "9"}')
    message = error_of(lambda: text_ids("x", signature, ""))
    assert message.startswith("the model's tokenizer cannot be read (")
    assert message.endswith("); install a newer tokenizers")


def test_texts_without_tokens(tmp_path: Path) -> None:
    signature = zoo.Signature(vocabulary=("x",), tokenizer="subwords", subwords=zoo.Subwords.learn(TEXTS, 280).json)
    assert error_of(lambda: text_ids("", signature, "here")) == "here: is empty, expected a text"
    assert error_of(lambda: text_ids("a\ud83d", signature, "here")) == (
        "here: has '\\ud83d', which is half a character; replace it"
    )
    path = own_tokenizer(tmp_path)
    file = write(tmp_path, ["good"] * 20)
    Path(file).write_text(Path(file).read_text() + '\n{"text": "\\u0085", "label": "a"}')
    message = error_of(lambda: load(file=file, tokenizer="subwords", tokenizer_file=str(path)))
    assert message.startswith(f"{file}:21:text: ")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = load(file=write(tmp_path, TEXTS), tokenizer="subwords", vocabulary_size=260)
    fresh = replace(dataset.signature, subwords=f"{dataset.signature.subwords} ")  # not loaded yet
    monkeypatch.setitem(sys.modules, "tokenizers", None)

    def advice(action: Any) -> str:
        message = error_of(action)
        assert message.endswith("which is not installed; pip install recurrent-zoo[subwords]")
        return message

    assert advice(lambda: load(tokenizer="subwords")).startswith("data.tokenizer: 'subwords' needs the package token")
    assert advice(lambda: text_ids("x", fresh, "")).startswith("this model reads subwords and needs the package token")
    assert load(file=write(tmp_path, TEXTS)).signature.tokenizer == "words2"
