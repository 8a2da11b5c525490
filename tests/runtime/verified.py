"""Verified models of numbers and of words, in torch and as files, and a helper for the errors of calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from tests.support.files import LABELS, write_verified
from tests.support.models import make_model, sequences
from zoo.runtime import OnnxModel

VOCABULARY = ("<pad>", "<unk>", "good", "bad", "not", "at", "all")
TEXTS = zoo.Signature(vocabulary=VOCABULARY, tokenizer="words", labels=LABELS, lengths=True)


def numbers(folder: Path, **options: Any) -> tuple[zoo.Model, OnnxModel]:
    """Return a model of numbers without lengths, in torch and as a verified file."""
    model = make_model("lstm", **options)
    return model, OnnxModel(write_verified(model, folder))


def texts(folder: Path, **options: Any) -> tuple[zoo.Model, OnnxModel]:
    """Return a model of words with lengths, in torch and as a verified file."""
    model = make_model("gru_after", encoder=zoo.Embedding(len(VOCABULARY), 3, 0.0), takes_lengths=True, **options)
    sample = sequences(np.random.default_rng(0).integers(len(VOCABULARY), size=(3, 9)), [4, 9, 1])
    signature = zoo.Signature(**{**TEXTS.to_dict(), "by_step": model.by_step})
    return model, OnnxModel(write_verified(model, folder, signature, sample))


def error_of(kind: type[zoo.ZooError], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def data_error(call: Callable[[], object]) -> str:
    return error_of(zoo.DataError, call)
