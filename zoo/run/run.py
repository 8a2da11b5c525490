"""A run: the folder that a build leaves on disk, and the files in it."""

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
"""Number of sequences of a run's sample, and of their first steps, whose scores by the trained model are kept."""


class Scored(NamedTuple):
    """Scores of the trained model for some sequences of the sample."""

    x: Tensor
    """(batch, time, features) or (batch, time)"""
    lengths: Tensor | None
    """(batch,); None where all sequences have the same length."""
    scores: Tensor
    """Output of `zoo.nn.model.Model`: (batch, n), or (batch, time, n) where each step is scored."""


@dataclass(frozen=True)
class Run:
    """A run's folder and the paths of its files."""

    path: Path

    @property
    def spec_file(self) -> Path:
        """The resolved spec, with every default written out."""
        return self.path / "spec.yaml"

    @property
    def config_file(self) -> Path:
        """Description and results of the run as JSON."""
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
        """History of the training: one JSON object per epoch."""
        return self.path / "metrics.jsonl"

    @property
    def card_file(self) -> Path:
        """The model card."""
        return self.path / "README.md"

    @property
    def curves_file(self) -> Path:
        """Picture of the learning curves."""
        return self.path / "curves.png"

    @property
    def confusion_file(self) -> Path:
        """Picture of the confusion matrix."""
        return self.path / "confusion.png"

    @property
    def predictions_file(self) -> Path:
        """Picture of the predicted and the true numbers."""
        return self.path / "predictions.png"

    @property
    def checkpoints(self) -> CheckpointFolder:
        """Checkpoints of the training."""
        return CheckpointFolder(self.path / "checkpoint")

    def export_folder(self, exporter: str) -> Path:
        """Return the folder of one exporter's files."""
        return self.path / exporter

    def create(self, spec: Spec) -> None:
        """Write the resolved spec into the folder, which makes the run the latest one."""
        write_atomically(self.spec_file, spec.to_yaml())

    def write_config(self, values: dict[str, Any]) -> None:
        """Write ``values`` to config.json, with the schema version."""
        write_json(self.config_file, {"schema_version": SCHEMA_VERSION, **values})

    def config(self) -> dict[str, Any]:
        """Return the content of config.json.

        Raises:
            RunError: where it is missing, is not valid JSON or has the schema of another version of Recurrent Zoo.
        """
        try:
            values: dict[str, Any] = json.loads(self.config_file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunError(f"{self.path}: is not a finished run; finish it with 'zoo build SPEC --resume'") from error
        except ValueError as error:
            raise RunError(f"{self.config_file}: is not valid JSON: {error}; build the run again") from error
        if not isinstance(values, dict) or values.get("schema_version") != SCHEMA_VERSION:
            raise RunError(f"{self.config_file}: expected schema_version {SCHEMA_VERSION}{_version_advice(values)}")
        return values

    def save_model(self, model: Model, sample: Split) -> None:
        """Write the weights, a sample of sequences, and the model's scores for some of them."""
        save_sealed(self.weights_file, model.state_dict())
        x, lengths = _first_steps(sample, *SCORED)
        training = model.training
        with torch.inference_mode():
            scores = model.eval()(x.to(model.device), None if lengths is None else lengths.to(model.device))
        model.train(training)
        kept = {} if sample.lengths is None else {"lengths": sample.lengths}
        tensors = {"x": sample.x, "y": sample.y, **kept, "scores": scores}
        save_sealed(self.sample_file, tensors, {"scored": x.shape[:2]})

    def sample(self) -> Split:
        """Return the sequences that `save_model` kept; numbers as float32."""
        return _sample(load_sealed(self.sample_file)[0])

    def scored(self) -> Scored | None:
        """Return the kept scores of the trained model; None for a run of a version that did not keep them."""
        kept, state = load_sealed(self.sample_file)
        if "scores" not in kept:
            return None
        return Scored(*_first_steps(_sample(kept), *state["scored"]), kept["scores"])

    def spec(self, registry: Registry) -> Spec:
        """Return the spec; fields that an earlier version did not write have the value that they meant then.

        Raises:
            SpecError: where the installed plugins no longer understand the spec.
            UsageError: where the file cannot be read.
        """
        return SpecReader.of(registry).read_run(self.spec_file)

    def load(self, registry: Registry) -> tuple[Spec, Task, Model]:
        """Return the spec, the task and the trained model, on the CPU and in evaluation mode.

        Raises:
            RunError: where a file is missing, was altered or does not fit the spec.
            SpecError: where the installed plugins no longer understand the spec.
        """
        config = self.config()
        spec = self.spec(registry)
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
        """Return the run at ``path``, or the latest run in ``folder`` where ``path`` is None.

        Raises:
            RunError: where there is no such run.
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


def _version_advice(config: Any) -> str:
    """Return the end of an error message: the version that wrote config.json, if another, and what to do."""
    values = config if isinstance(config, dict) else {}
    writer = values["versions"].get(DISTRIBUTION) if isinstance(values.get("versions"), dict) else None
    if (
        not isinstance(writer, str)
        or not re.fullmatch(r"[\w.+!-]{1,40}", writer)
        or writer == versions().get(DISTRIBUTION)
    ):
        return "; build the run again"
    return (
        f", got {values.get('schema_version')!r:.40}, as Recurrent Zoo {writer} writes it; install that version to "
        "use the run, or build the run again with this version"
    )


def _sample(kept: dict[str, Tensor]) -> Split:
    """Return the sequences from the content of the sample file."""
    return Split(_float32(kept["x"]), kept["y"], kept.get("lengths"))


def _float32(x: Tensor) -> Tensor:
    """Return numbers (batch, time, features) as float32, and token ids (batch, time) unchanged."""
    return x.float() if x.dim() == 3 else x


def _first_steps(sample: Split, rows: int, steps: int) -> tuple[Tensor, Tensor | None]:
    """Return the first ``steps`` steps of the first ``rows`` sequences, and their lengths."""
    lengths = None if sample.lengths is None else sample.lengths[:rows].clamp(max=steps)
    return _float32(sample.x[:rows, :steps]), lengths


def first_model(spec: Spec, task: Task, registry: Registry) -> Model:
    """Return the untrained model of a spec, with initial weights drawn from the spec's seed.

    Raises:
        SpecError: where the options do not fit each other.
    """
    layer = registry.architectures[part_name(spec.architecture)].layer
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.training.seed)
        return build_model(layer, spec.architecture, spec.encoder, task)


def runs_named(name: str, folder: Path) -> list[Run]:
    """Return the runs ``name``, ``name-2``, ``name-3``, … in ``folder``, oldest first."""
    pattern = re.compile(re.escape(name) + r"(?:-(\d+))?")
    numbered = [(int(match[1] or 1), path) for path in folder.glob("*") if (match := pattern.fullmatch(path.name))]
    return [Run(path) for _, path in sorted(numbered) if (path / "spec.yaml").is_file()]


def next_run(name: str, folder: Path) -> Run:
    """Create an empty folder ``name``, or ``name-2``, ``name-3``, … where that exists, and return its run.

    Raises:
        RunError: where the folder cannot be created.
    """
    path, number = folder / name, 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while not _create(path):
            number += 1
            path = folder / f"{name}-{number}"
    except OSError as error:
        raise RunError(f"{path}: cannot be created: {error.strerror}; choose another folder with --out") from error
    return Run(path)


def _create(path: Path) -> bool:
    """Create a folder; return False where it exists, perhaps because another build has just created it."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True
