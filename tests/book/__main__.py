"""``python -m tests.book``: build, export and prove every item of the plan, two at a time, and write down the results.

Runs go to runs/book/, the results to specs/book/results.json, and from there the table into specs/README.md. Needs the
data of ../shared/data; with every core but two idle it takes about half an hour.
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
    """Run a command of zoo in a process of its own, on one thread."""
    command = [sys.executable, "-m", "zoo", *arguments]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def _printed(*arguments: str) -> str:
    outcome = zoo(*arguments)
    if outcome.returncode:
        raise SystemExit(f"zoo {' '.join(arguments)} left with {outcome.returncode}: {outcome.stderr}")
    return outcome.stdout


def build(item: Item, seed: int) -> dict[str, Any]:
    """Build, export and prove one run; what it came to, for the results."""
    folder = RUNS / item.run(seed)
    shutil.rmtree(folder, ignore_errors=True)
    changes = [part for change in (*item.settings, f"training.seed={seed}") for part in ("--set", change)]
    for arguments in (
        ("build", f"specs/book/{item.spec}.yaml", "--out", str(folder), "--device", "cpu", *changes),
        ("export", "--onnx", str(folder), "--provider", "cpu", *(["--streaming"] if item.streaming else [])),
    ):
        outcome = zoo(*arguments)
        # A model whose answers never change proves nothing: its export may be refused, which is right and told.
        if outcome.returncode not in (0, 4):
            raise RuntimeError(f"zoo {' '.join(arguments)} left with {outcome.returncode}: {outcome.stderr}")
    return {"spec": item.spec, "settings": list(item.settings), "seed": seed, **_facts(folder)}


def _facts(folder: Path) -> dict[str, Any]:
    config = json.loads((folder / "config.json").read_text())
    parity = {}
    for report in sorted(folder.glob("onnx/**/parity*.json")):
        found = json.loads(report.read_text())
        outputs = [output for provider in found["providers"] for output in provider["outputs"]]
        parity[found["file"]] = {
            "verdict": found["verdict"],
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
    parser.add_argument("--only", default="*", help="a pattern of specs; their results replace the older ones")
    chosen = parser.parse_args()
    began = time.monotonic()
    tasks = [(item, seed) for item in ITEMS if fnmatch(item.spec, chosen.only) for seed in item.seeds]
    done: list[dict[str, Any]] = []

    def work(task: tuple[Item, int]) -> dict[str, Any] | None:
        try:
            result = build(*task)
        except RuntimeError as error:  # the others go on
            print(f"failed: {error}", file=sys.stderr, flush=True)
            return None
        done.append(result)
        verdicts = ", ".join(f"{name} {one['verdict']}" for name, one in result["parity"].items())
        print(f"{len(done)}/{len(tasks)} {task[0].run(task[1])}: {result['seconds']} s, {verdicts}", flush=True)
        return result

    with ThreadPoolExecutor(chosen.jobs) as pool:
        runs = [result for result in pool.map(work, tasks) if result is not None]
    older = json.loads(RESULTS.read_text()) if chosen.only != "*" and RESULTS.exists() else {}
    kept = older.get("runs", [])
    replaced = {(run["spec"], *run["settings"], run["seed"]) for run in runs}
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores shared, {chosen.jobs} runs at a time, 1 thread each",
        "minutes": round(older.get("minutes", 0) + (time.monotonic() - began) / 60, 1),
        "versions": versions(),
        "by_hand": measure() if chosen.only == "*" else older.get("by_hand"),
        "gradients": gradients(_printed, RUNS, RESULTS.parent),
        "compare": comparison(_printed, RUNS, RESULTS.parent),
        "runs": [run for run in kept if (run["spec"], *run["settings"], run["seed"]) not in replaced] + runs,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if len(runs) < len(tasks):
        raise SystemExit(f"{len(tasks) - len(runs)} failed; mend them and run these again with --only")
    PAGE.write_text(with_table(PAGE.read_text(), results))
    print(f"{results['minutes']} minutes; see {RESULTS.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
