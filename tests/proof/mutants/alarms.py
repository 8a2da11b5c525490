"""False alarms: correct models with fresh weights are exported and judged, and none may fail or differ in structure."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.proof.mutants.mutant import Mutant
from tests.proof.mutants.right import written_otherwise
from tests.proof.mutants.subjects import Bench
from tests.proof.mutants.trial import make_files, structure_of, try_file
from tests.support.builders import DIRECTIONS, KINDS
from tests.support.models import draw, make_model, sequences

CELLS = ("peephole_lstm", "layer_norm_lstm", "cho_gru", "cifg_lstm", "elman")
"""Cells of `tests.cells` whose recurrent weights the gain changes; they are exported as Scan."""
EVERY_KIND = (*KINDS, *CELLS)
GAINS = (1.0, 3.0)
FIRST_SEED = 10_000
"""Larger than the seeds of other tests, so that none of their models is among these."""


class Correct(NamedTuple):
    """A correct model and the results of its proof."""

    seed: int
    kind: str
    gain: float
    verdict: str
    over_budget: float
    fixed: Mapping[float, bool]
    """For each fixed tolerance whether the comparison with it raises an alarm."""
    differences: int
    """Structural differences from a second export, of the file and of the same file written otherwise."""
    reason: str


def judge_one(number: int) -> Correct:
    """Prove the model of a number: kind and gain alternate, the rest is drawn from a seed of its own."""
    seed, kind = FIRST_SEED + number, EVERY_KIND[number % len(EVERY_KIND)]
    gain = GAINS[number // len(EVERY_KIND) % len(GAINS)]
    generator = np.random.default_rng(seed)
    model = make_model(
        kind,
        seed=seed,
        recurrent_gain=gain,
        takes_lengths=bool(generator.integers(2)),
        hidden_size=int(generator.choice([8, 16, 32])),
        num_layers=int(generator.integers(1, 3)),
        direction=DIRECTIONS[generator.integers(3)],
        pooling=("last", "mean", "max", None)[generator.integers(4)],
    )
    lowering = "native" if kind in KINDS else "scan"
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(model, sequences(draw(64, 8, seed)), Path(name), {"lowering": lowering})
        trial = try_file(bench, bench.path)
        otherwise = make_files(Mutant("none", kind, written_otherwise), bench)
        differences = len(trial.structure) + len(structure_of(*otherwise))
    report = trial.report
    return Correct(seed, kind, gain, report["verdict"], trial.over_budget, trial.fixed, differences, trial.reason)


def judge_many(number: int, jobs: int) -> Iterator[Correct]:
    """Yield the results of the first ``number`` models, computed in ``jobs`` processes."""
    if jobs == 1:
        yield from map(judge_one, range(number))
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(judge_one, range(number))
