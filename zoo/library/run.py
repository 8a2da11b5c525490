"""A run in Python: what it holds, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from zoo.data.in_memory import given_sequences
from zoo.data.signature import Signature
from zoo.data.steps import as_steps
from zoo.errors import PluginError, UsageError
from zoo.exporting.exporter import Exporter, ExportOptions, Lowering, Precision
from zoo.jobs import bench as benching
from zoo.jobs import check as checking
from zoo.jobs import compare as comparing
from zoo.jobs import export as exporting
from zoo.jobs import gates as gating
from zoo.jobs import gradients as following
from zoo.jobs.exported import ExportedFile, exported_file, exported_files
from zoo.jobs.gates import Gates
from zoo.jobs.gradients import Gradients
from zoo.jobs.predict import exported_model
from zoo.library.activity import activity, screen
from zoo.library.arguments import extent_of, require_choice, wanted_providers
from zoo.library.results import Metrics, Proof
from zoo.nn.model import Model
from zoo.plugins.registry import Registry, load_registry
from zoo.run import run as folder
from zoo.runtime import OnnxModel
from zoo.runtime.answers import Prediction
from zoo.spec.spec import Spec

Provider = Literal["cpu", "cuda"]
PathLikeText = str | PathLike[str]


def load(path: PathLikeText | None = None) -> Run:
    """Return a run that exists.

    Args:
        path: the run's folder; None for the latest run in ``runs/``.

    Raises:
        RunError: there is no such run.
    """
    return Run(folder.Run.find(None if path is None else Path(path)).path)


class Run:
    """A run: the folder that a build leaves, with its model, metrics and exported files.

    `zoo.build` and `zoo.load` make it. Its methods do what the commands of the same names do, print nothing, and raise
    the errors of `zoo.errors`. Files are read when they are needed first.

    Args:
        path: the folder.
        registry: the plugins to use; those that are installed when None.
        warnings: what the build warned about, a line each.
    """

    def __init__(self, path: PathLikeText, registry: Registry | None = None, warnings: tuple[str, ...] = ()) -> None:
        self.path = Path(path)
        """The folder."""
        self.warnings = warnings
        """What the build warned about, a line each; empty for a loaded run."""
        self._registry = registry or load_registry()
        self._folder = folder.Run(self.path)
        self._opened: tuple[tuple[object, ...], OnnxModel] | None = None
        """The file that `predict` opened last, with its state; opening verifies all of it."""

    def __repr__(self) -> str:
        return f"<zoo.Run {self.path}>"

    @cached_property
    def spec(self) -> Spec:
        """The spec with every default, such as ``run.spec.training.epochs``; it can be built again.

        Raises:
            SpecError: the installed plugins no longer understand the spec.
        """
        return self._folder.spec(self._registry)

    @property
    def config(self) -> dict[str, Any]:
        """The content of config.json: the description of model and data, and all results.

        Raises:
            RunError: the run is not finished, or the file is damaged.
        """
        return self._folder.config()

    @cached_property
    def metrics(self) -> Metrics:
        """The results of the training.

        Raises:
            RunError: the run is not finished, or a file is damaged.
        """
        return Metrics.of(self._folder)

    @cached_property
    def model(self) -> Model:
        """The trained model in torch, on the CPU and in evaluation mode.

        Raises:
            RunError: the run is not finished, or its weights were altered or do not fit its spec.
        """
        return self._folder.load(self._registry)[2]

    def export(
        self,
        *,
        format: str | None = None,  # noqa: A002  (the word of the field)
        opset: int | None = None,
        lowering: Lowering = "auto",
        target: Provider = "cpu",
        steps: int | None = None,
        states: bool = False,
        streaming: bool = False,
        precision: Precision = "float32",
        providers: Iterable[Provider] = (),
        require: Iterable[Provider] = (),
        seed: int | None = None,
        thorough: bool = False,
        progress: bool = False,
    ) -> Proof:
        """Export the model and prove the file, as ``zoo export`` does.

        Args:
            format: name of the exporter, such as ``onnx``; by default the only one that is installed.
            opset: version of the operators; by default the newest that every provider supports.
            lowering: ``auto``, ``native``, ``scan`` or ``unrolled``.
            target: provider that ``auto`` chooses the fastest lowering for; the file runs on any.
            steps: steps of an unrolled graph; by default those of the data.
            states: whether initial states are inputs and final states outputs.
            streaming: whether to write a second file, which takes a stream in chunks.
            precision: ``float32``; or ``float16``, ``bfloat16`` or ``int8`` for a second file with such weights.
            providers: where to prove the file; all when empty.
            require: providers that must be able to run here.
            seed: seed of the shapes and inputs that the proof draws, to repeat a proof: that in ``report["seed"]``. By
                default it follows from the hash of the file.
            thorough: whether to draw ten times as many shapes, which takes several times as long.
            progress: whether to show the current step.

        Returns:
            The proof of the file asked for, the last that was written; ``others`` are the files before it, such as the
            float32 file. Look at ``verdict``, or call ``require_passed()``: a file that does not pass is no error here.

        Raises:
            ProviderUnavailable: a required provider cannot run here.
            ExportError: the model has a part that the exporter cannot express, or cannot be streamed.
            UsageError: an option is invalid, or two contradict each other.
            PluginError: there is no such exporter, or a cell does not keep the contract of `zoo.Cell`.
            RunError: another process works on the run, or a file is missing, altered or cannot be written.
        """
        choices = (("lowering", lowering, Lowering), ("target", target, Provider), ("precision", precision, Precision))
        for name, value, allowed in choices:
            require_choice(name, value, get_args(allowed))
        options = ExportOptions(opset, lowering, target, steps, states, streaming, precision)
        wanted, exporter, extent = (
            wanted_providers(providers, require),
            self._exporter(format),
            extent_of(seed, thorough),
        )
        with activity(screen() if progress else None) as report:
            results = exporting.export(self._folder, self._registry, exporter, wanted, options, report, extent)
        *others, proof = [Proof(path, content["verdict"], content) for path, content in results]
        return Proof(proof.path, proof.verdict, proof.report, tuple(others))

    def check(
        self,
        path: PathLikeText | None = None,
        *,
        providers: Iterable[Provider] = (),
        require: Iterable[Provider] = (),
        seed: int | None = None,
        thorough: bool = False,
        progress: bool = False,
    ) -> Proof:
        """Prove the exported files again, as ``zoo check`` does, and write the report beside each.

        Args:
            path: one of the files, also one in ``rejected/``; all files when None.
            providers: where to prove; all when empty.
            require: providers that must be able to run here.
            seed: seed of the shapes and inputs that the proof draws, to repeat a proof: that in ``report["seed"]``. By
                default it follows from the hash of the file.
            thorough: whether to draw ten times as many shapes, which takes several times as long.
            progress: whether to show the current step.

        Returns:
            The proof of the first file, the float32 file where there is one; ``others`` are the other files. Look at
            ``passed``, or call ``require_passed()``: a file that does not pass is no error here.

        Raises:
            ProviderUnavailable: a required provider cannot run here.
            PluginError: a cell does not keep the contract of `zoo.Cell`.
            UsageError: ``seed`` is no integer from 0 to 2**64 - 1.
            RunError: nothing was exported, ``path`` is no file of the run, or another process works on the run.
        """
        wanted, extent = wanted_providers(providers, require), extent_of(seed, thorough)
        proofs = []
        with activity(screen() if progress else None) as report:
            for file in self._exported(path):
                content = checking.check(file, self._registry, wanted, report, extent)
                proofs.append(Proof(file.path, content["verdict"], content))
        first, *others = proofs
        return Proof(first.path, first.verdict, first.report, tuple(others))

    def predict(
        self, x: Any, lengths: Any = None, *, provider: Provider = "cpu", allow_unproven: bool = False
    ) -> list[Prediction]:
        """Predict for sequences in memory with the exported float32 file, in ONNX Runtime.

        Args:
            x: a list of sequences, or a single one, as `zoo.OnnxModel.predict` takes them: arrays, texts, or tables
                such as data frames, which are prepared as the training data were.
            lengths: valid steps of each sequence of a padded array; None where all are valid.
            provider: where to run.
            allow_unproven: whether to use a file whose proof did not pass.

        Returns:
            A prediction for each sequence: its name as ``source``, and ``answers`` with a label and probabilities, or
            numbers in your units.

        Raises:
            DataError: a sequence does not fit the model; the message names it and the place in it.
            RunError: the run has not been exported, or the file was altered, did not pass its proof, or does not give
                its golden output on this machine.
            ProviderUnavailable: the provider cannot run here.
        """
        require_choice("provider", provider, get_args(Provider))
        file = exported_model(self.path)
        state = (file.stat().st_mtime_ns, file.stat().st_size, provider, allow_unproven)
        if self._opened is None or self._opened[0] != state:
            self._opened = state, OnnxModel(file, provider, allow_unproven=allow_unproven)
        model = self._opened[1]
        return model.predict(x, lengths)

    def compare(self, *others: Run, progress: bool = False) -> comparing.Comparison:
        """Compare this run with others of the same task, as ``zoo compare`` does.

        Args:
            others: finished runs.
            progress: whether to show that the work goes on.

        Returns:
            A group for each kind of model: quality with its spread over seeds, size, and latency of the exported file.

        Raises:
            RunError: a run is not finished, or its exported file does not load.
            UsageError: the runs have different tasks or metrics.
        """
        with activity(screen() if progress else None) as report:
            report("comparing")
            return comparing.compare([run._folder for run in (self, *others)], self._registry)

    def bench(
        self,
        *,
        providers: Sequence[Provider] = (),
        lowerings: Sequence[Lowering] = (),
        batches: Sequence[int] = benching.BATCHES,
        times: Sequence[int] = (),
        threads: int = 1,
        rounds: int = benching.Plan.rounds,
        seconds: float = benching.Plan.seconds,
        progress: bool = False,
    ) -> benching.Bench:
        """Measure latency and throughput in ONNX Runtime and torch, as ``zoo bench`` does; nothing is written.

        Args:
            providers: where to measure; all that are available when empty.
            lowerings: the lowerings to measure; all that the model has when empty.
            batches: batch sizes.
            times: steps of a sequence; when empty those of the data, and four times as many.
            threads: threads of ONNX Runtime and of torch.
            rounds: measurements of each candidate, at most.
            seconds: seconds after which no round begins, for each input.
            progress: whether to show a bar with the remaining time.

        Returns:
            The times of every candidate, and the sizes of the exported files.

        Raises:
            ExportError: the model has not the lowering asked for.
            ParityError: a file does not give the model's golden output.
            ProviderUnavailable: none of the providers can run here.
            RunError: the run is not finished.
            UsageError: an argument is invalid.
        """
        for provider in providers:
            require_choice("providers", provider, get_args(Provider))
        for lowering in lowerings:
            require_choice("lowerings", lowering, get_args(Lowering))
        if min([*batches, *times, threads, rounds], default=1) < 1 or not batches:
            raise UsageError("batches, times, threads, rounds: expected positive integers, and at least one batch size")
        plan = benching.Plan(tuple(providers), tuple(lowerings), tuple(batches), tuple(times), threads, rounds, seconds)
        with activity(screen() if progress else None, still=True) as report:
            return benching.bench(self._folder, self._registry, plan, report)

    def gates(self, x: Any = None, *, row: int = 0, layer: int | None = None) -> Gates:
        """Return every gate and state of the trained model over the steps of one sequence, as ``zoo gates`` does.

        Args:
            x: the sequence or several, as for `predict`; None for those of the run's sample.
            row: number of the sequence, from 0.
            layer: number of the only layer to return, from 0; None for all.

        Returns:
            ``series`` with the values of each gate and state, which have the names that the cell gives; ``picture()``
            shows them. Nothing is written.

        Raises:
            RunError: the run is not finished, or a file of it is missing or was altered.
            DataError: the sequence does not fit the model.
            UsageError: there is no such row or layer.
            CellError: a cell does not keep the contract of `zoo.Cell`.
        """
        if x is None:
            return gating.run_gates(self._folder, self._registry, row=row, layer=layer)
        signature = Signature.from_dict(self.config["signature"])
        given = [each.value for each in given_sequences(x, signature) if each.value is not None]
        gating.require_row(row, len(given), "x")
        steps = as_steps(given[row], signature, f"x[{row}]")
        source = given[row] if isinstance(given[row], str) else f"x[{row}]"
        return gating.sequence_gates(self._folder, self._registry, str(source), torch.from_numpy(steps), layer)

    def gradients(self, *others: Run, untrained: bool = False, progress: bool = False) -> Gradients:
        """Return how strongly the loss depends on the state after each step, as ``zoo gradients`` does.

        Args:
            others: further finished runs, to be shown beside this one.
            untrained: whether to take the initial weights instead of the trained ones.
            progress: whether to show the current run.

        Returns:
            ``runs`` with the norms of each run by part of the state and by step; ``picture()`` shows them. Nothing is
            written.

        Raises:
            RunError: a run is not finished, or a file is missing or was altered.
        """
        runs = [run._folder for run in (self, *others)]
        with activity(screen() if progress else None, "following gradients") as report:
            return following.run_gradients(runs, self._registry, untrained=untrained, progress=report)

    def _exporter(self, name: str | None) -> Exporter:
        """Return the exporter of a name, or the only one."""
        names = sorted(self._registry.exporters)
        if name is None and len(names) != 1:
            if not names:
                raise PluginError("no installed plugin provides an exporter; see 'zoo plugins'")
            raise UsageError(f"format: choose one of {', '.join(names)}")
        return self._registry.exporter(name or names[0])

    def _exported(self, path: PathLikeText | None) -> list[ExportedFile]:
        """Return the exported files to check."""
        if path is None:
            return exported_files(self._folder, self._registry)
        file = exported_model(Path(path))
        return [exported_file(file, self._folder, self._registry)]
