"""Subjects of the faults: models, trained or with drawn weights, and their exported files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import zoo
from tests.proof.mutants.sizes import SIZES, WORDS
from tests.support.models import draw, make_model, sequences, write
from tests.support.runs import build_run
from zoo.plugins.registry import load_registry
from zoo.proof.cases import Case, Extent
from zoo.proof.expectations import Expectations
from zoo.proof.prove import FileProperties, RunFile, cases_for, run_whole_sequences
from zoo.proof.streaming import chunk_cases, run_in_chunks
from zoo.run.run import Run

TRAINED: Mapping[str, tuple[str, ...]] = {
    "rnn": ("architecture.direction=reverse", "architecture.pooling=max"),
    "lstm": ("architecture.num_layers=3",),
    "gru": ("architecture.num_layers=2", "architecture.direction=bidirectional"),
    "bilstm": ("architecture.num_layers=2", "architecture.pooling=mean"),
}
"""Trained models: architecture, and the changes of its spec."""


@dataclass(frozen=True)
class Drawn:
    """A model with drawn weights; see `tests.support.models.make_model`."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    tokens: int = 0
    """Size of the vocabulary; 0 where the model takes numbers."""
    common: int = 0
    """Number of tokens that occur in the data, the first ones; 0 where all may."""
    steps: int = 8
    """Steps of the data's sequences."""

    def make(self) -> tuple[zoo.Model, zoo.Split]:
        """Return the model, and data for it."""
        torch.manual_seed(0)
        encoder = zoo.Embedding(self.tokens, 3, 0.0) if self.tokens else None
        model = make_model(self.kind, encoder=encoder, **{"hidden_size": 8, **self.options})
        if self.tokens:
            tokens = np.random.default_rng(0).integers(self.common or self.tokens, size=(20, self.steps))
            return model, sequences(tokens, [self.steps] * 20)
        return model, sequences(draw(64, self.steps))


COMMON = 300
"""Number of the words that occur in the data of the model of words."""

DRAWN: Mapping[str, Drawn] = {
    "lstm": Drawn("lstm", {"num_layers": 2}),
    "gru": Drawn("gru_after"),
    "gru before": Drawn("gru_before"),
    "bilstm": Drawn("lstm", {"direction": "bidirectional", "pooling": "mean", "takes_lengths": True}),
    "reverse gru": Drawn("gru_after", {"direction": "reverse", "pooling": None, "takes_lengths": True}),
    "tokens": Drawn("gru_after", {"hidden_size": 10, "takes_lengths": True}, tokens=6),
    "words": Drawn("gru_after", {"takes_lengths": True}, tokens=WORDS, common=COMMON),
    "long rnn": Drawn("rnn_tanh", {"pooling": None}, steps=400),
    "wide lstm": Drawn("lstm", {"hidden_size": 32}),
    "one lstm": Drawn("lstm"),
    "mgu": Drawn("mgu"),
    "layer norm": Drawn("layer_norm_lstm"),
    "chunks": Drawn("lstm", {"num_layers": 2, "pooling": None}),
}


class Subject(NamedTuple):
    """A file: a model and the options of its export."""

    model: str
    """A key of `DRAWN`, or one of `TRAINED` before ``, trained``."""
    options: Mapping[str, Any]
    """Fields of `zoo.ExportOptions`."""


NATIVE, SCAN = {"lowering": "native"}, {"lowering": "scan"}

SUBJECTS: Mapping[str, Subject] = {
    "RNN, trained": Subject("rnn, trained", NATIVE),
    "LSTM, trained": Subject("lstm, trained", NATIVE),
    "GRU, trained": Subject("gru, trained", NATIVE),
    "biLSTM, trained": Subject("bilstm, trained", NATIVE),
    "LSTM as Scan": Subject("lstm", SCAN),
    "GRU": Subject("gru", NATIVE),
    "GRU, reset before": Subject("gru before", NATIVE),
    "biLSTM, lengths": Subject("bilstm", NATIVE),
    "GRU as Scan, lengths": Subject("reverse gru", SCAN),
    "GRU of tokens": Subject("tokens", NATIVE),
    "GRU of tokens as Scan": Subject("tokens", SCAN),
    "GRU of words": Subject("words", NATIVE),
    "RNN of 400 steps": Subject("long rnn", NATIVE),
    "LSTM in int8": Subject("wide lstm", {**NATIVE, "precision": "int8"}),
    "LSTM, states": Subject("one lstm", {**NATIVE, "states": True}),
    "MGU as Scan, states": Subject("mgu", {**SCAN, "states": True}),
    "layer-norm LSTM as Scan": Subject("layer norm", SCAN),
    "LSTM for chunks": Subject("chunks", {**NATIVE, "streaming": True}),
}
"""Subjects by their names in the table."""


class Workshop:
    """Cache of models, their files and their expected outputs, each made at its first use.

    Args:
        folder: an empty folder for them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._models: dict[str, tuple[zoo.Model, zoo.Split]] = {}
        self._benches: dict[str, Bench] = {}

    def run(self, architecture: str) -> Path:
        """Return the folder of a trained run without an exported file."""
        path = self.folder / "runs" / architecture
        return path if path.is_dir() else build_run(path.parent, architecture, *TRAINED[architecture])

    def model(self, name: str) -> tuple[zoo.Model, zoo.Split]:
        if name not in self._models:
            if name.endswith(", trained"):
                run = Run(self.run(name.removesuffix(", trained")))
                self._models[name] = run.load(load_registry())[2], run.sample()
            else:
                self._models[name] = DRAWN[name].make()
        return self._models[name]

    def bench(self, name: str) -> Bench:
        """Return the bench of a subject."""
        if name not in self._benches:
            model, sample = self.model(SUBJECTS[name].model)
            folder = self.folder / "files" / name
            folder.mkdir(parents=True)
            self._benches[name] = Bench(model, sample, folder, SUBJECTS[name].options)
        return self._benches[name]


class Bench:
    """A model and its exported file; all altered files of it are judged by the same exact results.

    Args:
        model: the model.
        sample: data for it, in the user's units.
        folder: an empty folder for its files.
        options: fields of `zoo.ExportOptions`.
    """

    def __init__(self, model: zoo.Model, sample: zoo.Split, folder: Path, options: Mapping[str, Any]) -> None:
        self.model, self.sample, self.folder, self.options = model, sample, folder, options
        self.path = self.export("right")
        self.properties = FileProperties.of(zoo.ExportOptions(**options))
        self.streaming = self.path.name == "model.stream.onnx"

    @cached_property
    def expectations(self) -> Expectations:
        return Expectations(self.model, self._cases())

    @cached_property
    def fresh(self) -> Path:
        """A second export of the model, with which files are compared."""
        return self.export("fresh")

    def export(self, name: str) -> Path:
        """Export the model into the folder ``name`` and return the path of the file."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return write(self.model, folder, **self.options)

    @property
    def run_file(self) -> RunFile:
        """The function that runs a file: on whole sequences, or chunk by chunk."""
        return run_in_chunks(by_step=self.model.by_step) if self.streaming else run_whole_sequences

    def _cases(self) -> Sequence[Case]:
        """Return the cases of the proof, whose drawn shapes are those of today."""
        extent = Extent(SIZES.seed)
        if self.streaming:
            return chunk_cases(self.model, self.sample, extent)
        return cases_for(self.model, self.sample, self.properties, extent=extent)
