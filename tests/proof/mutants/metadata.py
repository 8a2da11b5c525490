"""Faults of the metadata alone: the graph and its numbers stay, and the file is sealed anew."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import Mutant, Mutation
from tests.proof.mutants.trial import alter
from tests.support.runs import build_exported_run
from zoo.jobs.exported import ExportedFile
from zoo.jobs.precision import Trained
from zoo.jobs.structure import Structure, compare_structure
from zoo.plugins.registry import load_registry
from zoo.run.candidate import Candidate
from zoo.run.run import Run
from zoo_onnx import OnnxExporter


class ExportedRun:
    """A trained and exported run, whose file is compared with a fresh export as ``zoo check`` does.

    Args:
        folder: folder of the run, which has the name of the spec.
        spec: name of the spec.
    """

    def __init__(self, folder: Path, spec: str) -> None:
        run, registry = Run(build_exported_run(folder, spec)), load_registry()
        self.file = ExportedFile(run, OnnxExporter())
        self.trained, self.sample = Trained(run, *run.load(registry)), run.sample()

    def compare(self, mutant: Mutant) -> tuple[Path, Structure]:
        """Insert a fault into a copy of the file; return the path of the copy, and the result of the comparison."""
        altered = self.file.path.with_name("altered.onnx")
        alter(mutant, self.file.path, altered)
        exporter, record = self.file.exporter, self.file.record()
        structure = compare_structure(Candidate(altered), exporter, self.trained, self.sample, record, lambda *_: None)
        return altered, structure


def changed(key: str, change: Callable[[str], str]) -> Mutation:
    """Change an entry."""

    def mutate(graph: Graph) -> None:
        (entry,) = [entry for entry in graph.model.metadata_props if entry.key == key]
        entry.value = change(entry.value)
        assert entry.value

    return mutate


def with_value(key: str, value: Any, *place: str | int) -> Mutation:
    """Write another value into an entry that is JSON, at a place in it."""

    def change(text: str) -> str:
        whole = inner = json.loads(text)
        for part in place[:-1]:
            inner = inner[part]
        inner[place[-1]] = value
        assert whole != json.loads(text)
        return json.dumps(whole)

    return changed(key, change)


def exchanged(key: str, *place: str, first: int = 0, second: int = 1) -> Mutation:
    """Exchange two elements of a list in an entry that is JSON."""

    def change(text: str) -> str:
        whole = inner = json.loads(text)
        for part in place:
            inner = inner[part]
        assert inner[first] != inner[second]
        inner[first], inner[second] = inner[second], inner[first]
        return json.dumps(whole)

    return changed(key, change)


def times(key: str, factor: float) -> Mutation:
    """Multiply an array in an entry, which is an ``.npy`` file in base 64."""

    def change(text: str) -> str:
        array = np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)
        content = io.BytesIO()
        np.save(content, np.asarray(array * factor, array.dtype), allow_pickle=False)
        return base64.b64encode(content.getvalue()).decode()

    return changed(key, change)


def removed(start: str) -> Mutation:
    """Remove the entries whose key starts with a text."""

    def remove(graph: Graph) -> None:
        entries = [entry for entry in graph.model.metadata_props if entry.key.startswith(start)]
        assert entries
        for entry in entries:
            graph.model.metadata_props.remove(entry)

    return remove


def added(key: str, value: str) -> Mutation:
    """Add an entry."""

    def add(graph: Graph) -> None:
        graph.model.metadata_props.add(key=key, value=value)

    return add


def in_turn(*mutations: Mutation) -> Mutation:
    """Apply several changes."""

    def mutate(graph: Graph) -> None:
        for each in mutations:
            each(graph)

    return mutate


DIGITS, FORECAST, TEXT = "gru", "forecast", "sentiment"
RUNS = (DIGITS, FORECAST, TEXT)
"""Names of the specs of the runs."""
SIGNATURE = "signature"

MUTANTS = [
    Mutant("labels exchanged", DIGITS, exchanged(SIGNATURE, "labels", first=3, second=8)),
    Mutant("label renamed", DIGITS, with_value(SIGNATURE, "zero", "labels", 0)),
    Mutant("other size in the spec", DIGITS, with_value("spec", 13, "architecture", "hidden_size")),
    Mutant("other data in the spec", DIGITS, with_value("spec", "csv", "data", "name")),
    Mutant("other name", DIGITS, changed("name", lambda _: "lstm")),
    Mutant("verdict failed", DIGITS, with_value("parity", "failed", "verdict")),
    Mutant("verdict on a GPU added", DIGITS, with_value("parity", "passed", "providers", "cuda strict")),
    Mutant("smaller error in the verdict", DIGITS, with_value("parity", 1e-9, "over_budget")),
    Mutant("verdict removed", DIGITS, removed("parity")),
    Mutant("golden data removed", DIGITS, removed("golden_")),
    Mutant("golden sensitivity of 1e31", DIGITS, times("golden_logits_sensitivity", 1e38)),
    Mutant("golden sensitivity three times as large", DIGITS, times("golden_logits_sensitivity", 3.0)),
    Mutant("golden logits halved", DIGITS, times("golden_logits", 0.5)),
    Mutant("golden input halved", DIGITS, times("golden_input", 0.5)),
    Mutant("other versions", DIGITS, with_value("versions", "2.12.0", "torch")),
    Mutant("other version of the zoo", DIGITS, changed("zoo_version", lambda _: "9.9.9")),
    Mutant("other lowering", DIGITS, changed("lowering", lambda _: "scan")),
    Mutant("other opset", DIGITS, changed("opset", lambda _: "21")),
    Mutant("int8 claimed", DIGITS, added("precision", "int8")),
    Mutant("entry added", DIGITS, added("approved", "yes")),
    Mutant("columns exchanged", FORECAST, exchanged(SIGNATURE, "columns")),
    Mutant("other window", FORECAST, with_value(SIGNATURE, 21, "window")),
    Mutant("other target", FORECAST, with_value(SIGNATURE, "close", "targets", 0)),
    Mutant("other scale of the input", FORECAST, with_value(SIGNATURE, 1.0, "input_scale", "factor", 0)),
    Mutant("other scale of the target", FORECAST, with_value(SIGNATURE, 1.0, "target_scale", "factor", 0)),
    Mutant("other horizon", FORECAST, with_value(SIGNATURE, 2, "horizon")),
    Mutant("two words exchanged", TEXT, exchanged(SIGNATURE, "vocabulary", first=24, second=25)),
    Mutant("other tokenizer", TEXT, with_value(SIGNATURE, "other", "tokenizer")),
    Mutant("labels exchanged", TEXT, exchanged(SIGNATURE, "labels")),
    Mutant("golden lengths removed", TEXT, removed("golden_lengths")),
]
"""Faults of the metadata; each must be found by the comparison with a fresh export."""
