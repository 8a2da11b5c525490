"""(b) Peak memory of a whole ``zoo build`` on MNIST against a bare script over the same tensors, a process each."""

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
"""Beside the checkout, where its developers have it."""


def main() -> None:
    print("\n(b) peak memory of the whole process, MNIST, GRU 128, 1 epoch: zoo build / bare script")
    if not MNIST.is_dir():
        print(f"    not measured: {MNIST} is not there")
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = [f"data.folder={MNIST}", "training.epochs=1"]
        overrides = [word for setting in settings for word in ("--set", setting)]
        ours = _peak("-m", "zoo", "build", "specs/mnist_gru.yaml", "--out", f"{folder}/run", *overrides)
    theirs = _peak("-m", "tests.benchmarks.memory")
    print(f"    {ours / theirs:7.3f}   {ours / 1024:.0f} MB / {theirs / 1024:.0f} MB")


def _peak(*arguments: str) -> int:
    """Peak resident memory of a Python process, in kB, asked of a process that has no other child."""
    code = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, sys.executable, *arguments], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


def bare_script() -> None:
    """One epoch over MNIST, with nothing but torch and NumPy."""
    images = read_idx(MNIST / "train-images-idx3-ubyte.gz", 3)
    labels = read_idx(MNIST / "train-labels-idx1-ubyte.gz", 1)
    x, y = torch.from_numpy(images[:55_000]), torch.from_numpy(labels[:55_000].astype(np.int64))
    bare_epoch(x, y)()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    bare_script()
