"""Assertions for test suites of other projects; works with any test runner."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike

from torch import nn

from zoo.library.module import Args, prove_module


def assert_parity(
    module: nn.Module,
    path: str | PathLike[str],
    args: Args,
    *,
    providers: Iterable[str] = (),
    seed: int | None = None,
    thorough: bool = False,
) -> None:
    """Assert that a file computes what a module computes, by the proof of `zoo.prove_module`.

    Args:
        module: any module in inference mode.
        path: an ONNX file whose inputs are the tensors of ``args`` in the order of ``forward``.
        args: example arguments of ``forward``.
        providers: where to prove, ``cpu`` and ``cuda``; every one that can run here when empty.
        seed: of the drawn shapes and inputs; by default it follows from the file's content.
        thorough: whether to draw ten times as many shapes.

    Raises:
        AssertionError: the verdict is not ``passed``; the message has the reasons.
        UsageError, ProviderUnavailable, RunError: see `zoo.prove_module`.
    """
    proof = prove_module(module, path, args, providers=providers, seed=seed, thorough=thorough)
    if not proof.passed:
        reasons = "\n".join(f"  {reason}" for reason in proof.reasons)
        raise AssertionError(f"{path}: {proof.verdict}\n{reasons}")
