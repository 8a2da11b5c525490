"""Subwords: the tokenisers of Hugging Face's package ``tokenizers``, an optional extra. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from zoo.data.datafile import open_data
from zoo.data.tokens import PADDING
from zoo.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Subwords:
    """Tokeniser that splits words into frequent parts, kept as plain text so that a signature can hold it.

    Args:
        json: the content of a ``tokenizer.json`` of Hugging Face.

    Raises:
        DataError: the package ``tokenizers`` is not installed; from each method.
    """

    json: str

    @classmethod
    def learn(cls, texts: Iterable[str], size: int, min_count: int = 1) -> Self:
        """Learn a tokeniser: pairs of tokens that are frequent in words become tokens, from single bytes upwards.

        Byte-level byte-pair encoding (Sennrich, Haddow and Birch 2016; Radford et al. 2019). No text has an unknown
        part, since all consist of bytes. The same texts give the same tokeniser, because integers alone decide; in a
        unigram model sums of floating-point numbers do. Texts are composed (NFC) and in lower case.

        Args:
            texts: those of the training part.
            size: largest number of tokens, at least 257: `PADDING`, which is token 0, and a token for each byte. There
                are fewer where no pair is left.
            min_count: smallest number of occurrences of a pair that becomes a token.
        """
        library = _library("data.tokenizer: 'subwords'")
        normalizers, pre_tokenizers = library.normalizers, library.pre_tokenizers
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=min_count,
            special_tokens=[PADDING],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer.to_str())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a ``tokenizer.json``; its settings for cutting and padding are left out.

        Raises:
            DataError: the file is not such a file.
        """
        with open_data(path) as stream:
            content = stream.read()
        library = _library("data.tokenizer: 'subwords'")
        try:
            tokenizer = library.Tokenizer.from_buffer(content)
        except Exception as error:  # the package raises plain exceptions
            fault = " ".join(str(error).split())
            raise DataError(f"{path}: is no tokenizer.json of Hugging Face ({fault}); give another file") from error
        if tokenizer.get_vocab_size() == 0:
            raise DataError(f"{path}: has no tokens; give the file of a trained tokenizer")
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(tokenizer.to_str())

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """The tokens by their ids; an id without a token has the name ``<unused ID>``."""
        tokens = {number: token for token, number in _loaded(self.json).get_vocab(with_added_tokens=True).items()}
        return tuple(tokens.get(number, f"<unused {number}>") for number in range(max(tokens) + 1))

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, without the special tokens that a tokeniser may add around it.

        A special token that is written in a text, such as ``<pad>``, is text like any other.
        """
        encodings = _loaded(self.json).encode_batch(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]


@lru_cache(maxsize=8)  # parsing takes longer than encoding a text
def _loaded(json: str) -> Tokenizer:
    library = _library("this model reads subwords and")
    try:
        tokenizer: Tokenizer = library.Tokenizer.from_str(json)
    except Exception as error:  # as in `Subwords.read`; the file may be of a newer version of the package
        fault = " ".join(str(error).split())
        raise DataError(f"the model's tokenizer cannot be read ({fault}); install a newer tokenizers") from error
    tokenizer.encode_special_tokens = True
    return tokenizer


def _library(what: str) -> Any:
    """Return the package ``tokenizers``; ``what`` needs it."""
    try:
        return import_module("tokenizers")
    except ImportError as error:
        raise DataError(
            f"{what} needs the package tokenizers, which is not installed; pip install recurrent-zoo[subwords]"
        ) from error
