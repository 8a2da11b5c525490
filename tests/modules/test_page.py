"""The page exporters/YOUR_MODULE.md: its programs run, and its messages are those of the exporter."""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zoo
from tests.exporters import test_module_packed as packing
from tests.exporters import test_module_refusals as refusals
from tests.exporters.modules import export
from tests.support.paths import ROOT

PAGE = ROOT / "exporters" / "YOUR_MODULE.md"
TEXT = " ".join(PAGE.read_text(encoding="utf-8").split())
LENGTHS = (torch.randn(3, 7, packing.FEATURES), torch.tensor([7, 2, 3]))


def programs() -> list[str]:
    """Return the blocks of Python."""
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_programs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In order and in one module, as a reader would run them."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    np.random.seed(0)
    module = types.ModuleType("page")
    monkeypatch.setitem(__import__("sys").modules, "page", module)
    printed = []
    for number, program in enumerate(programs()):
        file = tmp_path / f"page_{number}.py"
        file.write_text(program)
        exec(compile(program, file, "exec"), module.__dict__)  # noqa: S102  (document of this repository)
        printed.append(capsys.readouterr().out.strip())
    module.test_the_file_still_computes_the_model()
    assert [text for text in printed if text] == ["passed tagger.onnx", "(2, 300, 9)", "passed ()", "passed"]
    assert len(programs()[1].split("\n\n", 1)[1].splitlines()) + 2 <= 10


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        *((kind, (refusals.X,)) for kind in (refusals.RangeLoop, refusals.UnbindLoop, refusals.Positions)),
        *((kind, (refusals.X,)) for kind in (refusals.ValueBranch, refusals.Random, refusals.ToNumpy)),
        (refusals.KeepsState, (refusals.X,)),
        *((kind, LENGTHS) for kind in (packing.PythonLengths, packing.UsesData, packing.PacksAList)),
    ],
)
def test_a_message_of_the_page_is_the_exporters(kind: type[nn.Module], args: Any, tmp_path: Path) -> None:
    with pytest.raises(zoo.ExportError) as caught:
        export(kind().eval(), args, tmp_path / "net.onnx")
    reason = re.sub(r"^.*?:\d+: (the module \w+ cannot be traced: )?", "", str(caught.value)).partition("; ")[0]
    assert f"| *{reason}* |" in TEXT


def test_the_message_of_training_mode(tmp_path: Path) -> None:
    with pytest.raises(zoo.ExportError) as caught:
        export(nn.GRU(3, 5), (refusals.X,), tmp_path / "net.onnx")
    assert str(caught.value).removeprefix("GRU ") in TEXT
