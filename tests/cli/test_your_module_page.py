"""The command lines of exporters/YOUR_MODULE.md, run in order on a small module."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tests.support.command import run_zoo
from tests.support.paths import ROOT
from tests.support.user_code import user_folder

CODE = """
from torch import nn

class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(2, 3, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0]

def make_model():
    return Tagger()
"""


def command_lines() -> list[list[str]]:
    """Return the words of each command line of the page."""
    page = (ROOT / "exporters" / "YOUR_MODULE.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_the_command_lines_of_the_page_run(tmp_path: Path) -> None:
    """The weights of the file are needed: each call of the function gives others."""
    export, check = command_lines()
    with user_folder(tmp_path) as folder:
        folder.write("models.py", CODE)
        torch.manual_seed(0)
        weights = nn.RNN(2, 3).state_dict()
        torch.save({f"rnn.{name}": value for name, value in weights.items()}, "tagger.pt")
        np.savez("example.npz", x=np.random.RandomState(0).standard_normal((3, 5, 2)).astype(np.float32))
        for command, file in ((export, "tagger.onnx"), (check, "their.onnx")):
            assert command[0] == "zoo"
            outcome = run_zoo(*command[1:])
            assert outcome.exit_code == 0, outcome.stderr
            assert outcome.stdout.startswith(f"parity of {file}: passed\n")
            shutil.copy("tagger.onnx", "their.onnx")
