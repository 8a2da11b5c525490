"""What the methods of `zoo.Run` return, with named fields and ``to_dict``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from zoo.errors import ParityError, RunError
from zoo.run import run as folder
from zoo.training.progress import EpochRecord


@dataclass(frozen=True)
class Metrics:
    """Results of a training. A field is also an item: ``metrics["test"]``."""

    metric: str
    """Name of the metric that selected the best epoch."""
    best_epoch: int
    """The epoch of the saved weights, from 1."""
    validation: Mapping[str, float]
    """Metrics of the saved weights on the validation part, by name."""
    test: Mapping[str, float]
    """Metrics of the saved weights on the test part, by name."""
    baselines: Mapping[str, Mapping[str, float]]
    """Metrics of naive predictors on the test part, by predictor and name."""
    history: tuple[EpochRecord, ...]
    """One record for each epoch."""

    def __getitem__(self, name: str) -> Any:
        return self.to_dict()[name]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, run: folder.Run) -> Self:
        """Read the results of a run.

        Raises:
            RunError: the run is not finished, or a file is missing or damaged.
        """
        config = run.config()
        try:
            lines = run.metrics_file.read_text(encoding="utf-8").splitlines()
            history = tuple(EpochRecord(**json.loads(line)) for line in lines)
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{run.metrics_file}: cannot be read: {error}; build the run again") from error
        names = ("metric", "best_epoch", "validation", "test", "baselines")
        return cls(**{name: config[name] for name in names}, history=history)


@dataclass(frozen=True)
class Proof:
    """An exported file with the result of its proof."""

    path: Path
    """The file. After a verdict other than ``passed`` an export puts it into ``rejected/``."""
    verdict: str
    """``passed``, ``failed``, ``ill-conditioned``, ``inconclusive`` or ``unavailable``."""
    report: Mapping[str, Any]
    """The whole report, values for JSON, as in ``parity.json``."""
    others: tuple[Proof, ...] = ()
    """Further files of the same call."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the verdict is another than ``passed``; empty after ``passed``."""
        return tuple(self.report["reasons"])

    @property
    def passed(self) -> bool:
        """Whether this file passed, and all `others` too."""
        return self.verdict == "passed" and all(other.passed for other in self.others)

    def require_passed(self) -> Self:
        """Return this proof if every file passed.

        Raises:
            ParityError: a file did not pass; the message gives each with its reasons.
        """
        proofs: list[Proof] = [self, *self.others]
        failed = [proof for proof in proofs if proof.verdict != "passed"]
        faults = [f"{proof.path}: {proof.verdict}: {'; '.join(proof.reasons)}" for proof in failed]
        if faults:
            raise ParityError("; ".join(faults))
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        others = [other.to_dict() for other in self.others]
        return {"path": str(self.path), "verdict": self.verdict, "report": dict(self.report), "others": others}
