"""Print the tables.

``python -m tests.proof.mutants`` prints the table of faults, ``--weights 25`` that of single weights moved by 1e-4,
``--alarms 200`` that of correct models.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.proof.mutants.alarms import judge_many
from tests.proof.mutants.table import alarm_table, fault_table, progress, weight_table


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.proof.mutants", description="Print the faults that the proof finds."
    )
    parser.add_argument("--weights", type=int, metavar="N", help="move N single weights of each part, one at a time")
    parser.add_argument("--alarms", type=int, metavar="N", help="prove N correct models")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes for --alarms (default: 1)")
    chosen = parser.parse_args()
    if chosen.alarms:
        models = []
        for model in judge_many(chosen.alarms, chosen.jobs):
            models.append(model)
            progress(f"{len(models)} of {chosen.alarms} models: {model.kind}, seed {model.seed}: {model.verdict}")
        progress("")
        print(alarm_table(models))
        return
    with tempfile.TemporaryDirectory() as name:
        print(weight_table(Path(name), chosen.weights) if chosen.weights else fault_table(Path(name)))


if __name__ == "__main__":
    main()
