"""Weights that a training starts from: those of a run, of a safetensors file or of a file of torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.data.datafile import name_fault
from zoo.data.signature import Signature
from zoo.errors import RunError, SpecError
from zoo.files import json_text, write_atomically
from zoo.nn.model import Model
from zoo.plugins.registry import Registry
from zoo.run.run import Run
from zoo.run.tensor_file import SUFFIXES, listed, read_tensor_file
from zoo.run.vectors import Vectors
from zoo.sealed import digest, load_tensors

FIELD = "training.start_from"


@dataclass(frozen=True)
class Start:
    """What a model took from other weights, and what it did not take."""

    source: str
    """The value of ``training.start_from``."""
    sha256: str
    """Hash of the names, dtypes, shapes and values of all tensors of the source."""
    taken: tuple[str, ...]
    """Names of the tensors that the model took, in its own order."""
    not_taken: Mapping[str, str]
    """The model's other tensors, which have their initial values, each with the reason."""
    unused: tuple[str, ...]
    """Names of the source's tensors that the model does not have."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        return asdict(self)

    def sentences(self) -> Iterator[str]:
        """Yield what was taken and what was not, a sentence each, without full stops."""
        count = len(self.taken) + len(self.not_taken)
        yield f"training starts from {self.source}: {len(self.taken)} of {count} tensors taken"
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.not_taken.items():
            by_reason.setdefault(reason, []).append(name)
        for reason, names in by_reason.items():
            yield f"not taken: {', '.join(names)} ({reason})"
        if self.unused:
            yield f"not used: {', '.join(self.unused)} (the model has no tensor of the name)"

    def record(self, run: Run) -> None:
        """Write the record into the run's folder, or compare it with the record of a run that is resumed.

        Raises:
            RunError: the run started from other weights than the source has now, or the file cannot be written.
        """
        path = run.path / "start.json"
        if path.is_file():
            try:
                before = json.loads(path.read_bytes())["sha256"]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise RunError(f"{path}: is damaged: {error}; build again without --resume") from error
            if before != self.sha256:
                raise RunError(
                    f"{path}: the training started from other weights than {self.source} has now; restore them, or "
                    "build again without --resume"
                )
        write_atomically(path, json_text(self.to_dict()))


def origin_sentences(start: Start | None, frozen: Sequence[str], vectors: Vectors | None = None) -> list[str]:
    """Return what a training starts from and what it leaves as it is, a sentence each, without full stops.

    Args:
        start: what the model took from other weights; None for initial weights.
        frozen: names of the parameters that are not trained.
        vectors: what the encoder took from a file of vectors; None without one.
    """
    lines = [] if vectors is None else [vectors.sentence()]
    lines += [] if start is None else list(start.sentences())
    return [*lines, f"frozen: {', '.join(frozen)}"] if frozen else lines


def start_from(model: Model, source: str, signature: Signature, registry: Registry) -> Start:
    """Copy weights into a model, by name, where shapes and meanings agree.

    The scales of inputs and targets stay those of the model's own data. From a run, which is described, the layers are
    taken only where they have the same cell, the head only where it predicts the same labels or targets, and what reads
    the input (the encoder's weights, or without any the first layer's) only where the input has the same vocabulary and
    columns. From a file, names and shapes decide alone.

    Args:
        model: receives the weights in place.
        source: folder of a finished run, a ``.safetensors`` file, or a ``.pt`` or ``.pth`` file of torch that holds
            tensors by name, which is read with ``weights_only=True``.
        signature: of the model's data.
        registry: gives the cell of a run's architecture.

    Returns:
        What was taken, and what was not.

    Raises:
        SpecError: the source cannot be read, or holds nothing that the model could take.
    """
    tensors, config = _read(Path(source))
    excluded = _scales(model)
    if config is not None:
        excluded |= _other_meanings(model, Signature.from_dict(config["signature"]), signature)
        architecture = registry.architectures.get(config["architecture"])
        if architecture is None or architecture.layer.cell is not model.layers()[0].cell:
            excluded |= dict.fromkeys(_names(model, model.stack), "belongs to another cell there")
    state, not_taken = model.state_dict(), {}
    for name, own in state.items():
        if reason := _reason(own, tensors.get(name), excluded.get(name)):
            not_taken[name] = reason
    taken = tuple(name for name in state if name not in not_taken)
    if not taken:
        raise SpecError(
            f"{FIELD}: {source} holds no tensor with a name and shape of this model; it has {listed(tensors)}; the "
            f"model has {listed(state)}"
        )
    for name in taken:
        if not bool(tensors[name].isfinite().all()):
            raise SpecError(f"{FIELD}: {source}: {name} has values that are not finite; take other weights")
        state[name].copy_(tensors[name])  # shares its memory with the model
    unused = tuple(name for name in tensors if name not in state)
    return Start(source, digest(tensors, ""), taken, not_taken, unused)


def _reason(own: Tensor, given: Tensor | None, excluded: str | None) -> str:
    """Return why the model does not take a tensor; empty where it does."""
    if given is None:
        return "is not there"
    if excluded is not None:
        return excluded
    if given.shape != own.shape:
        return f"has the shape {tuple(given.shape)} there and {tuple(own.shape)} here"
    if given.is_floating_point() != own.is_floating_point():
        return f"has the type {given.dtype} there and {own.dtype} here"
    return ""


def _scales(model: Model) -> dict[str, str]:
    """Return the names of the scales, with the reason why they are not taken."""
    parts = {"encoder": model.encoder, "readout": model.readout}
    names = [f"{part}.{name}" for part, module in parts.items() for name, _ in module.named_buffers()]
    return dict.fromkeys(names, "a scale, which these data give")


def _other_meanings(model: Model, there: Signature, here: Signature) -> dict[str, str]:
    """Return the names of tensors that mean something else in a run with the signature ``there``, with the reason."""
    excluded: dict[str, str] = {}
    same = (there.vocabulary, there.columns, there.categories) == (here.vocabulary, here.columns, here.categories)
    if not same:
        what = "tokens" if here.vocabulary or there.vocabulary else "columns"
        readers: list[torch.nn.Module] = [model.encoder] if list(model.encoder.parameters()) else []
        readers += [] if model.encoder.tokens and readers else [model.layers()[0]]
        for reader in readers:
            excluded |= dict.fromkeys(_names(model, reader), f"reads other {what} there")
    if (there.labels, there.targets, there.horizon) != (here.labels, here.targets, here.horizon):
        excluded |= dict.fromkeys(_names(model, model.head), "predicts something else there")
    return excluded


def _names(model: Model, part: torch.nn.Module) -> list[str]:
    """Return the names in the model of all tensors of one of its parts."""
    prefix = next(name for name, module in model.named_modules() if module is part)
    return [f"{prefix}.{name}" for name in part.state_dict()]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Return the tensors of a source by name, and the config.json of a run."""
    if fault := name_fault(path):
        raise SpecError(f"{FIELD}: {fault}")
    try:
        if path.is_dir():
            run = Run.find(path)
            return load_tensors(run.weights_file), run.config()
        if path.exists() and path.suffix not in SUFFIXES:
            raise RunError(f"{path}: expected the folder of a run, or a .safetensors, .pt or .pth file")
        return read_tensor_file(path), None
    except RunError as error:
        raise SpecError(f"{FIELD}: {error}") from error
