"""(b) Peak memory of ``zoo build`` on MNIST against a bare script over the same tensors, each in its own process."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile

import numpy as np
import torch

from tests.benchmarks.mnist_loop import bare_epoch
from tests.support.paths import DATA
from zoo.data.idx import read_idx

MNIST = DATA / "mnist"
"""A folder beside the checkout, which only some machines have."""


def main() -> None:
    print("\n(b) peak memory of the whole process, MNIST, GRU 128, 1 epoch: zoo build / bare script")
    if not MNIST.is_dir():
        print(f"    not measured: {MNIST} does not exist")
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = [f"data.folder={MNIST}", "training.epochs=1"]
        overrides = [word for setting in settings for word in ("--set", setting)]
        zoo_peak = _peak("-m", "zoo", "build", "specs/mnist_gru.yaml", "--out", f"{folder}/run", *overrides)
    bare_peak = _peak("-m", "tests.benchmarks.memory")
    print(f"    {zoo_peak / bare_peak:7.3f}   {zoo_peak / 1024:.0f} MB / {bare_peak / 1024:.0f} MB")


def _peak(*arguments: str) -> int:
    """Peak resident memory of a Python process, in kB, measured by a parent that has no other child."""
    code = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, sys.executable, *arguments]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def bare_script() -> None:
    """Train one epoch on MNIST with torch and NumPy alone, and print the peak memory."""
    images = read_idx(MNIST / "train-images-idx3-ubyte.gz", 3)
    labels = read_idx(MNIST / "train-labels-idx1-ubyte.gz", 1)
    x, y = torch.from_numpy(images[:55_000]), torch.from_numpy(labels[:55_000].astype(np.int64))
    bare_epoch(x, y)()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    bare_script()
