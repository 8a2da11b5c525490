"""Measures the table: ``python -m tests.modules [NAME …] [--out table.json]``; see `tests.modules.table`.

Results are kept in the file given by ``--out`` after each module, and those in it are not measured again. Seconds are
CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch.export import Dim

from tests.modules.catalogue import CASES
from tests.modules.stock import export_stock
from tests.modules.table import markdown, row, wrong_row
from tests.modules.wrong import WRONG
from zoo.versions import versions


def main() -> None:
    parser = argparse.ArgumentParser(description="Table of modules, exported by torch.onnx and by zoo.export_module.")
    parser.add_argument("names", nargs="*", help="modules and wrong files; default: all")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # torch's exporter issues many
    onnxruntime.set_default_logger_severity(4)  # and ONNX Runtime reports each failing node of a frozen file
    torch.set_num_threads(1)
    results: dict[str, dict[str, Any]] = {}
    if options.out and options.out.exists():
        results = json.loads(options.out.read_text())
    with tempfile.TemporaryDirectory() as folder:
        case = CASES["relu"]
        export_stock(case.made(), case.args, Path(folder) / "first.onnx", Dim.AUTO)  # loads what all exports need
        for name in options.names or [*CASES, *WRONG]:
            if name not in results:
                torch.manual_seed(1)
                measure = row if name in CASES else wrong_row
                results[name] = measure(name, Path(folder))
                print(f"{name}: {json.dumps(results[name])}", flush=True)
            if options.out:
                options.out.write_text(json.dumps(results, indent=1))
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    print(
        markdown(
            {name: results[name] for name in CASES if name in results},
            {name: results[name] for name in WRONG if name in results},
        )
    )


if __name__ == "__main__":
    main()
