"""A run: the folder that a build leaves on disk, and what stands where in it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from zoo.data.dataset import Split
from zoo.data.signature import Signature
from zoo.errors import RunError
from zoo.files import write_atomically, write_json
from zoo.nn.model import Model
from zoo.plugins.architecture import build_model
from zoo.plugins.registry import Registry
from zoo.sealed import load_sealed, save_sealed
from zoo.spec.spec import Spec, SpecReader, part_name
from zoo.tasks.task import Task
from zoo.training.checkpoint import CheckpointFolder
from zoo.versions import versions

SCHEMA_VERSION = 1
DISTRIBUTION = "recurrent-zoo"
SCORED = (4, 28)
"""Sequences of a run's sample, and their first steps, for which the scores of the trained model are kept."""


class Scored(NamedTuple):
    """What the trained model gave for a part of the sample."""

    x: Tensor
    """(batch, time, features) or (batch, time)"""
    lengths: Tensor | None
    """(batch,)"""
    scores: Tensor
    """What the model gave, as `zoo.nn.model.Model` has it."""


@dataclass(frozen=True)
class Run:
    """A run's folder. Its files: see the properties."""

    path: Path

    @property
    def spec_file(self) -> Path:
        """The resolved spec, every default written out."""
        return self.path / "spec.yaml"

    @property
    def config_file(self) -> Path:
        """What the run is and how it went, for programs."""
        return self.path / "config.json"

    @property
    def weights_file(self) -> Path:
        """The best weights."""
        return self.path / "model.safetensors"

    @property
    def sample_file(self) -> Path:
        """A few test sequences, so that export and check need no data set."""
        return self.path / "sample.safetensors"

    @property
    def metrics_file(self) -> Path:
        """One JSON object an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def card_file(self) -> Path:
        """The model card."""
        return self.path / "README.md"

    @property
    def curves_file(self) -> Path:
        return self.path / "curves.png"

    @property
    def confusion_file(self) -> Path:
        return self.path / "confusion.png"

    @property
    def predictions_file(self) -> Path:
        """Predicted numbers beside the true ones."""
        return self.path / "predictions.png"

    @property
    def checkpoints(self) -> CheckpointFolder:
        return CheckpointFolder(self.path / "checkpoint")

    def export_folder(self, exporter: str) -> Path:
        """Where the files of one exporter stand."""
        return self.path / exporter

    def create(self, spec: Spec) -> None:
        """Write the resolved spec into the folder. Done at each start of a build, it makes the run the latest one."""
        write_atomically(self.spec_file, spec.to_yaml())

    def write_config(self, values: dict[str, Any]) -> None:
        """Replace config.json."""
        write_json(self.config_file, {"schema_version": SCHEMA_VERSION, **values})

    def config(self) -> dict[str, Any]:
        """What `write_config` wrote.

        Raises:
            RunError: where it is missing, or is not what this version of Recurrent Zoo writes.
        """
        try:
            values: dict[str, Any] = json.loads(self.config_file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunError(f"{self.path}: is not a finished run; finish it with 'zoo build SPEC --resume'") from error
        except ValueError as error:
            raise RunError(f"{self.config_file}: is not JSON any more: {error}; build the run again") from error
        if not isinstance(values, dict) or values.get("schema_version") != SCHEMA_VERSION:
            raise RunError(f"{self.config_file}: expected schema_version {SCHEMA_VERSION}{_other_version(values)}")
        return values

    def save_model(self, model: Model, sample: Split) -> None:
        """Write the weights, sequences that are like the model's data, and the model's scores of some of them."""
        save_sealed(self.weights_file, model.state_dict())
        x, lengths = _scored(sample, *SCORED)
        training = model.training
        with torch.inference_mode():
            scores = model.eval()(x.to(model.device), None if lengths is None else lengths.to(model.device))
        model.train(training)
        kept = {} if sample.lengths is None else {"lengths": sample.lengths}
        tensors = {"x": sample.x, "y": sample.y, **kept, "scores": scores}
        save_sealed(self.sample_file, tensors, {"scored": x.shape[:2]})

    def sample(self) -> Split:
        """The sequences that `save_model` kept; numbers as float32."""
        return _sample(load_sealed(self.sample_file)[0])

    def scored(self) -> Scored | None:
        """What the trained model gave; None for a run of a version that did not keep it."""
        kept, state = load_sealed(self.sample_file)
        if "scores" not in kept:
            return None
        return Scored(*_scored(_sample(kept), *state["scored"]), kept["scores"])

    def load(self, registry: Registry) -> tuple[Spec, Task, Model]:
        """The spec, the task and the trained model, on the CPU and ready for inference.

        Raises:
            RunError: where a file is missing, altered or does not fit the spec.
            SpecError: where the installed plugins no longer understand the spec.
        """
        config = self.config()
        reader = SpecReader.of(registry)
        spec = reader.read(self.spec_file)
        task = registry.tasks[part_name(spec.task)](spec.task, Signature.from_dict(config["signature"]))
        weights, _ = load_sealed(self.weights_file)
        model = first_model(spec, task, registry)
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            text = " ".join(str(error).split())
            raise RunError(
                f"{self.weights_file}: does not fit {self.spec_file}: {text}; build the run again"
            ) from error
        return spec, task, model.eval()

    @classmethod
    def find(cls, path: Path | None, folder: Path = Path("runs")) -> Self:
        """The run at ``path``, or the latest one in ``folder`` when none is named.

        Raises:
            RunError: where there is none.
        """
        if path is not None:
            if not cls(path).spec_file.is_file():
                hint = "; name the run's folder" if path.is_file() else "; 'zoo build SPEC' makes one"
                raise RunError(f"{path}: is not a run{hint}")
            return cls(path)
        runs = sorted(folder.glob("*/spec.yaml"), key=lambda file: file.stat().st_mtime_ns)
        if not runs:
            raise RunError(f"there is no run in {folder}/; 'zoo build SPEC' makes one")
        return cls(runs[-1].parent)


def _other_version(config: Any) -> str:
    """What another version of Recurrent Zoo has written, and what to do."""
    values = config if isinstance(config, dict) else {}
    wrote = values["versions"].get(DISTRIBUTION) if isinstance(values.get("versions"), dict) else None
    if (
        not isinstance(wrote, str)
        or not re.fullmatch(r"[\w.+!-]{1,40}", wrote)
        or wrote == versions().get(DISTRIBUTION)
    ):
        return "; build the run again"
    return (
        f", got {values.get('schema_version')!r:.40}, as Recurrent Zoo {wrote} writes it; install that version to use "
        "the run, or build it again with this one"
    )


def _sample(kept: dict[str, Tensor]) -> Split:
    return Split(_numbers(kept["x"]), kept["y"], kept.get("lengths"))


def _numbers(x: Tensor) -> Tensor:
    """Numbers as float32, tokens as they are."""
    return x.float() if x.dim() == 3 else x


def _scored(sample: Split, rows: int, steps: int) -> tuple[Tensor, Tensor | None]:
    """The first steps of the first sequences, and how many of them each has."""
    lengths = None if sample.lengths is None else sample.lengths[:rows].clamp(max=steps)
    return _numbers(sample.x[:rows, :steps]), lengths


def first_model(spec: Spec, task: Task, registry: Registry) -> Model:
    """The model of a spec as its seed first makes it, before any training.

    Raises:
        SpecError: where the options do not fit each other.
    """
    layer = registry.architectures[part_name(spec.architecture)].layer
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.training.seed)
        return build_model(layer, spec.architecture, spec.encoder, task)


def runs_named(name: str, folder: Path) -> list[Run]:
    """The runs of one name, oldest first: name, name-2, name-3, …"""
    pattern = re.compile(re.escape(name) + r"(?:-(\d+))?")
    found = [(int(match[1] or 1), path) for path in folder.glob("*") if (match := pattern.fullmatch(path.name))]
    return [Run(path) for _, path in sorted(found) if (path / "spec.yaml").is_file()]


def next_run(name: str, folder: Path) -> Run:
    """A run with a new, empty folder: name, or name-2, name-3, … where that is taken.

    Raises:
        RunError: where the folder cannot be made.
    """
    path, number = folder / name, 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while not _make(path):
            number += 1
            path = folder / f"{name}-{number}"
    except OSError as error:
        raise RunError(f"{path}: cannot be made: {error.strerror}; choose another place with --out") from error
    return Run(path)


def _make(path: Path) -> bool:
    """Make a folder, unless it is there: a build that runs at the same time may have taken it a moment ago."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True
