"""``python -m tests.book``: build, export and prove every item of the plan, two at a time, and record the results.

The runs are in runs/book/, the results in specs/book/results.json; the table in specs/README.md is made from them.
Needs the data of ../shared/data and takes about half an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.book.by_hand import measure
from tests.book.pictures import comparison, gradients
from tests.book.plan import ITEMS, Item
from tests.book.table import PAGE, RESULTS, with_table
from tests.support.paths import ROOT
from zoo.versions import versions

RUNS = ROOT / "runs" / "book"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def zoo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a zoo command in a process of its own, on one thread."""
    command = [sys.executable, "-m", "zoo", *arguments]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def _output(*arguments: str) -> str:
    """The standard output of a zoo command that must succeed."""
    outcome = zoo(*arguments)
    if outcome.returncode:
        raise SystemExit(f"zoo {' '.join(arguments)} left with {outcome.returncode}: {outcome.stderr}")
    return outcome.stdout


def build(item: Item, seed: int) -> dict[str, Any]:
    """Build, export and prove one run, and return its entry in the results."""
    folder = RUNS / item.run(seed)
    shutil.rmtree(folder, ignore_errors=True)
    changes = [part for change in (*item.settings, f"training.seed={seed}") for part in ("--set", change)]
    for arguments in (
        ("build", f"specs/book/{item.spec}.yaml", "--out", str(folder), "--device", "cpu", *changes),
        ("export", "--onnx", str(folder), "--provider", "cpu", *(["--streaming"] if item.streaming else [])),
    ):
        outcome = zoo(*arguments)
        # 4: the proof did not pass, as is correct for a model with constant output; the results record the verdict.
        if outcome.returncode not in (0, 4):
            raise RuntimeError(f"zoo {' '.join(arguments)} left with {outcome.returncode}: {outcome.stderr}")
    return {"spec": item.spec, "settings": list(item.settings), "seed": seed, **_figures(folder)}


def _figures(folder: Path) -> dict[str, Any]:
    config = json.loads((folder / "config.json").read_text())
    parity = {}
    for path in sorted(folder.glob("onnx/**/parity*.json")):
        report = json.loads(path.read_text())
        outputs = [output for provider in report["providers"] for output in provider["outputs"]]
        parity[report["file"]] = {
            "verdict": report["verdict"],
            "over_budget": max((output["over_budget"] for output in outputs), default=None),
        }
    names = ("parameters", "train_loss", "validation", "test", "baselines", "not_beaten", "constant", "epochs")
    return {name: config[name] for name in names} | {
        "seconds": round(config["training_seconds"], 1),
        "parity": parity,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.book", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time, one thread each")
    parser.add_argument("--only", default="*", help="a pattern of spec names; their results replace the older ones")
    options = parser.parse_args()
    began = time.monotonic()
    tasks = [(item, seed) for item in ITEMS if fnmatch(item.spec, options.only) for seed in item.seeds]
    done: list[dict[str, Any]] = []

    def work(task: tuple[Item, int]) -> dict[str, Any] | None:
        try:
            result = build(*task)
        except RuntimeError as error:  # the other runs continue
            print(f"failed: {error}", file=sys.stderr, flush=True)
            return None
        done.append(result)
        verdicts = ", ".join(f"{name} {report['verdict']}" for name, report in result["parity"].items())
        print(f"{len(done)}/{len(tasks)} {task[0].run(task[1])}: {result['seconds']} s, {verdicts}", flush=True)
        return result

    with ThreadPoolExecutor(options.jobs) as pool:
        runs = [result for result in pool.map(work, tasks) if result is not None]
    older = json.loads(RESULTS.read_text()) if options.only != "*" and RESULTS.exists() else {}
    kept = older.get("runs", [])
    replaced = {(run["spec"], *run["settings"], run["seed"]) for run in runs}
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores shared, {options.jobs} runs at a time, 1 thread each",
        "minutes": round(older.get("minutes", 0) + (time.monotonic() - began) / 60, 1),
        "versions": versions(),
        "by_hand": measure() if options.only == "*" else older.get("by_hand"),
        "gradients": gradients(_output, RUNS, RESULTS.parent),
        "compare": comparison(_output, RUNS, RESULTS.parent),
        "runs": [run for run in kept if (run["spec"], *run["settings"], run["seed"]) not in replaced] + runs,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if len(runs) < len(tasks):
        raise SystemExit(f"{len(tasks) - len(runs)} failed; fix the cause and run these specs again with --only")
    PAGE.write_text(with_table(PAGE.read_text(), results))
    print(f"{results['minutes']} minutes; see {RESULTS.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
