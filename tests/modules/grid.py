"""PyTorch's grid of recurrent exports through `zoo.export_module`: ``python -m tests.modules.grid [FIRST [LAST]]``.

`tests.exporters.grid` exports the same 192 modules without a proof. The exit code is 1 if any does not pass.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import torch

import zoo
from tests.exporters.grid import CASES
from tests.modules.table import EXAMPLE, worst


def main() -> int:
    """Export and prove the cases from the first to the last number, and return the exit code."""
    warnings.simplefilter("ignore")  # torch's exporter issues many
    torch.set_num_threads(1)
    chosen = CASES[slice(*map(int, sys.argv[1:3]))] if len(sys.argv) > 2 else CASES[int((sys.argv[1:] or ["0"])[0]) :]
    verdicts: Counter[str] = Counter()
    largest, began = 0.0, time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for case in chosen:
            torch.manual_seed(1)
            proof = zoo.export_module(
                case.net(), case.args(*EXAMPLE), Path(folder) / f"{case}.onnx", providers=("cpu",)
            )
            verdicts[proof.verdict] += 1
            largest = max(largest, worst(proof))
            print(f"{case}: {proof.verdict}, {worst(proof):.3f} of the budget {'; '.join(proof.reasons)}", flush=True)
    seconds = (time.process_time() - began) / len(chosen)
    print(f"{dict(verdicts)}, at most {largest:.3f} of the budget; {seconds:.1f} CPU seconds each")
    return 0 if set(verdicts) == {"passed"} else 1


if __name__ == "__main__":
    sys.exit(main())
