"""The proof that a file computes what a module computes, whichever exporter wrote it.

Oracle, budget, gates and report are those of `zoo.proof.prove`; the inputs are drawn like the examples, at every size
that the file declares as free.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.errors import RunError, UsageError
from zoo.parity import Array
from zoo.progress import Progress
from zoo.proof.cases import Extent
from zoo.proof.module_call import MESSAGE, Call, attempt
from zoo.proof.module_cases import CaseMaker, ModuleCase, describe, named_axes
from zoo.proof.module_checks import require_provable
from zoo.proof.module_inputs import LENGTHS, Argument
from zoo.proof.module_oracle import ModuleExpectations
from zoo.proof.observed import repeatability
from zoo.proof.prove import FileOutputs, FileProperties, Mode, prove_against
from zoo.runtime.tensors import TensorInput, TensorSession

BY_NUMBERS = "judged by numbers alone: sizes between those tried are not covered"


class ModuleProof:
    """Proof of files against one module.

    Args:
        module: any module; it is copied.
        examples: example arguments of its ``forward``, one tuple or several.

    Raises:
        UsageError: if it cannot be judged: in training mode, random, with side effects, or without float64.
    """

    def __init__(self, module: nn.Module, examples: Sequence[tuple[Any, ...]]) -> None:
        self._module = copy.deepcopy(module).cpu()
        self._call = Call(module, examples[0])
        self._examples = [self._call.tensors(args) for args in examples]
        if any(array.size == 0 for arrays in self._examples for array in arrays):
            raise UsageError(f"{self._call.place}: {self._call.name}: a tensor of the example is empty")
        self._wide = require_provable(self._call, self._module, self._examples[0])
        self._cache: dict[Any, tuple[CaseMaker, ModuleExpectations]] = {}

    def prove(
        self,
        path: Path,
        providers: Sequence[str],
        file_faults: Sequence[str],
        progress: Progress,
        extent: Extent,
    ) -> dict[str, Any]:
        """Compare a file with the module and return the report; see `zoo.proof.prove.prove`.

        Args:
            path: the file. Its inputs are the tensors of the arguments, in their order.
            providers: keys of `zoo.proof.prove.MODES`.
            file_faults: faults of the file that were found before.
            progress: called with a short description of each step of the work.
            extent: the sizes to draw beside the listed ones.
        """
        extent = extent.seeded(path)
        ends = {"seed": extent.seed, "thorough": extent.thorough, "module": self._call.name}
        try:
            inputs, outputs = self._interface(TensorSession(path))
            arguments = named_axes(self._call.names, self._examples, inputs)
        except RunError as error:
            nothing = ModuleExpectations(self._call, self._wide, [], [], progress)
            faults = list(dict.fromkeys([*file_faults, str(error)]))
            report = prove_against(nothing, path, FileProperties(), (), faults)
            return {**report, **ends, "inputs": {}, "notes": [BY_NUMBERS]}
        maker, expectations = self._expected(arguments, outputs, extent, progress)

        def run_file(file: Path, mode: Mode, chosen: Sequence[ModuleCase]) -> FileOutputs:
            return _run_file(file, mode, chosen, [item.name for item in inputs], maker)

        steps = max((size for name, size in maker.example.items() if name != maker.batch), default=None)
        report = prove_against(expectations, path, FileProperties(), providers, file_faults, run_file, data_steps=steps)
        untried = [
            f"{name}: {count} integers between those of the example were not tried"
            for name, count in maker.drawer.untried.items()
        ]
        return {
            **report,
            **ends,
            "inputs": describe(maker.arguments),
            "notes": [BY_NUMBERS, *maker.notes, *untried, *self._fixed(arguments)],
        }

    def _expected(
        self, arguments: Sequence[Argument], outputs: Sequence[str], extent: Extent, progress: Progress
    ) -> tuple[CaseMaker, ModuleExpectations]:
        """Return the cases and what is expected for each; the same for the next file with the same interface."""
        key = extent, tuple(argument.axes for argument in arguments), tuple(outputs)
        if key not in self._cache:
            progress("choosing sizes")
            maker = CaseMaker(arguments, self._run, extent)
            cases = list(maker.cases())
            self._cache = {key: (maker, ModuleExpectations(self._call, self._wide, cases, outputs, progress))}
        return self._cache[key]

    def _fixed(self, arguments: Sequence[Argument]) -> list[str]:
        """Return remarks on axes that the file fixes although the module takes other sizes."""
        axes = [
            tuple(f"{each.name} {axis}" if name is None else None for axis, name in enumerate(each.axes))
            for each in arguments
        ]
        maker = CaseMaker(
            [replace(each, axes=free) for each, free in zip(arguments, axes, strict=True)], self._run, Extent(0)
        )
        return [
            f"{each.name}: axis {axis} is fixed at {each.examples[0].shape[axis]} in the file, and the module takes "
            "other sizes"
            for each in maker.arguments
            for axis, name in enumerate(each.axes)
            if name is not None
        ]

    def _interface(self, session: TensorSession) -> tuple[list[TensorInput], list[str]]:
        """Return the input of each tensor, one without a name where the file has none, and the names of the outputs.

        Raises:
            RunError: where they do not fit the module.
        """
        names, inputs = self._call.names, session.inputs
        if len(inputs) != len(names):
            by_name = {item.name: item for item in inputs}
            if not by_name.keys() <= set(names):
                own = ", ".join(by_name) or "nothing"
                raise RunError(f"{session.path}: takes {own}, and the module takes {', '.join(names)}")
            free = [TensorInput("", "", (None,) * array.ndim) for array in self._examples[0]]
            inputs = [by_name.get(name, other) for name, other in zip(names, free, strict=True)]
        results = self._run(self._examples[0])
        assert results is not None
        if len(session.output_names) != len(results):
            raise RunError(
                f"{session.path}: gives {len(session.output_names)} outputs, {', '.join(session.output_names)}, and "
                f"the module returns {len(results)} tensors"
            )
        return inputs, session.output_names

    def _run(self, arrays: Sequence[Array]) -> list[Array] | None:
        """Run the module in float32; None where it raises an error."""
        with torch.no_grad():
            return attempt(lambda: self._call.outputs(self._module, arrays))[0]


def _run_file(
    path: Path, mode: Mode, cases: Sequence[ModuleCase], names: Sequence[str], maker: CaseMaker
) -> FileOutputs:
    """Run a file on all cases; a `zoo.proof.prove.RunFile`.

    Raises:
        RunError: where it fails; the message names the sizes, and the size alone at which it fails.
    """
    session = TensorSession(path, mode.provider, strict=mode.strict)
    outputs = []
    for case in cases:
        try:
            outputs.append(session.run(_feeds(names, case)))
        except RunError as error:
            text = str(error).split(": ", 1)[-1][:MESSAGE]
            raise RunError(f"fails at {case}{_cause(session, names, maker, case)}: {text}") from error
    largest = max(cases, key=lambda case: case.numbers)
    return FileOutputs(outputs, session.placement(), repeatability(session, _feeds(names, largest)))


def _feeds(names: Sequence[str], case: ModuleCase) -> dict[str, Array]:
    return {name: array for name, array in zip(names, case.arrays, strict=True) if name}


def _cause(session: TensorSession, names: Sequence[str], maker: CaseMaker, failed: ModuleCase) -> str:
    """Return which size alone makes a file fail, with its axis; empty where no single one does."""
    for name, size in failed.sizes.items():
        alone = {**maker.example, name: size}
        tried = [] if alone == maker.example else [maker.case("data", alone) for _ in LENGTHS]
        try:
            for case in tried:
                if case is not None:
                    session.run(_feeds(names, case))
        except RunError:
            axes = [
                f"axis {axis} of {argument.name}"
                for argument in maker.arguments
                for axis, own in enumerate(argument.axes)
                if own == name
            ]
            return f" because of {' and '.join(axes)} ({name}), which works at {maker.example[name]}"
    return ""
