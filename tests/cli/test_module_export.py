"""`zoo export` and `zoo check` of a module in the user's own code, from the command to the file and its report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import zoo
from tests.support.command import Outcome, assert_one_line, contents, run_zoo
from tests.support.user_code import UserFolder, user_folder
from zoo.cli.module_reference import load_reference, user_code
from zoo.runtime.onnx_seal import seal_fault
from zoo.runtime.providers import unavailable

CODE = '''
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

class Tagger(nn.Module):
    """Labels of each step of padded sequences."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 3)
        self.rnn = nn.GRU(3, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, ids, lengths):
        packed = pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=ids.shape[1])
        print("forward runs")
        return self.head(states)

class Meter(nn.Module):
    """One number of a sequence."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(2, 3)

    def forward(self, x, state=None):
        return self.rnn(x, state)[0][-1]

def make_tagger():
    torch.manual_seed(1)
    return Tagger()

def make_meter():
    torch.manual_seed(3)
    return Meter()

def make_other_meter():
    torch.manual_seed(4)
    return Meter()

def make_loop():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(2, 3)

        def forward(self, x):
            state = x.new_zeros(x.shape[1], 3)
            for step in x:
                state = self.cell(step, state)
            return state

    return Loop()
'''
TAGGER = "my_nets:make_tagger"
METER = "my_nets:make_meter"


def export(*arguments: object, example: str = "ids.npz") -> Outcome:
    return run_zoo("export", "--onnx", *arguments, "--example", example, "--provider", "cpu")


def check(*arguments: object, example: str = "ids.npz") -> Outcome:
    return run_zoo("check", *arguments, "--example", example, "--provider", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UserFolder]:
    """The current folder, with code, examples, and an export."""
    with user_folder(tmp_path_factory.mktemp("user")) as folder:
        folder.write("my_nets.py", CODE)
        ids = np.random.RandomState(0).randint(0, 11, (3, 6))
        np.savez("ids.npz", lengths=np.array([6, 2, 4]), ids=ids)
        np.save("x.npy", np.random.RandomState(0).standard_normal((5, 2, 2)).astype(np.float32))
        yield folder


@pytest.fixture(scope="module")
def exported(folder: UserFolder) -> Outcome:
    return export(TAGGER)


@pytest.fixture(scope="module")
def meter(folder: UserFolder) -> Path:
    """Export of the smaller module."""
    outcome = export(METER, "--out", "meter.onnx", example="x.npy")
    assert outcome.exit_code == 0, outcome.stderr
    return Path("meter.onnx")


def module(reference: str) -> nn.Module:
    with user_code():
        return load_reference(reference).module


def test_a_module_becomes_a_proven_file(folder: UserFolder, exported: Outcome) -> None:
    assert exported.exit_code == 0, exported.stderr
    assert exported.stderr.splitlines()[:2] == [
        f"my_nets.py: is imported for {TAGGER}, which runs its code",
        f"{TAGGER}: evaluation mode is set, by eval()",
    ]
    lines = exported.stdout.splitlines()
    assert lines[0] == "parity of make_tagger.onnx: passed"
    assert re.fullmatch(r"\d+ inputs of \d+ shapes, batch up to \d+, time up to 200", lines[1])
    assert "note: judged by numbers alone: sizes between those tried are not covered" in lines
    assert "\ncpu            passed  nodes: " in exported.stdout
    assert "forward runs" not in exported.stdout
    content = Path("make_tagger.onnx").read_bytes()
    assert seal_fault(content) is None
    report = json.loads(Path("make_tagger.parity.json").read_text())
    assert (report["verdict"], report["providers"][0]["status"]) == ("passed", "passed")
    ids, lengths = np.random.RandomState(1).randint(0, 11, (5, 40)), np.array([40, 1, 7, 39, 2])
    (result,) = onnxruntime.InferenceSession(content).run(None, {"ids": ids, "lengths": lengths})
    with torch.no_grad():
        expected = module(TAGGER)(torch.from_numpy(ids), torch.from_numpy(lengths))
    torch.testing.assert_close(torch.from_numpy(result), expected)


def test_a_file_is_proven_against_its_module(meter: Path, folder: UserFolder) -> None:
    before = contents(folder.path)
    outcome = check(meter, "--against", METER, example="x.npy")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.startswith("parity of meter.onnx: passed\n")
    assert contents(folder.path) == before


def test_a_file_of_another_module_fails(meter: Path, folder: UserFolder) -> None:
    before = contents(folder.path)
    outcome = check(meter, "--against", "my_nets:make_other_meter", "--json", example="x.npy")
    assert outcome.exit_code == 4
    error = outcome.stderr.splitlines()[-1]
    assert error.startswith("error: meter.onnx: failed: cpu: output: error ")
    assert "zoo bisect" not in error  # it would need a run
    report = json.loads(outcome.stdout)
    assert (report["path"], report["verdict"]) == ("meter.onnx", "failed")
    assert contents(folder.path) == before


@pytest.mark.parametrize("command", ["check", "bisect"])
def test_a_command_that_needs_a_run_names_the_way_without_one(command: str, meter: Path, folder: UserFolder) -> None:
    outcome = run_zoo(command, meter)
    assert_one_line(
        outcome, 1, "meter.onnx: is not in a run's folder, but an export of the module Meter; prove it with"
    )
    ways = re.findall("'(zoo [^']*)'", outcome.stderr)
    assert ways == [
        "zoo check meter.onnx --against package.module:make_model --example example.npz",
        "zoo check RUN --foreign meter.onnx",
    ]
    Path("alone.onnx").write_bytes(meter.read_bytes())
    assert_one_line(run_zoo(command, "alone.onnx"), 1, "the proof needs the run's weights; name the run, or judge the")


def test_weights_from_a_file(meter: Path, folder: UserFolder) -> None:
    """The class alone gives random weights, so that the file passes only with those of the export."""
    torch.save(module(METER).state_dict(), "weights.pt")
    outcome = check(meter, "--against", "my_nets:Meter", "--weights", "weights.pt", "--seed", 5, example="x.npy")
    assert outcome.exit_code == 0, outcome.stderr
    outcome = check(meter, "--against", "my_nets:Tagger", "--weights", "weights.pt", example="x.npy")
    assert outcome.exit_code == 1
    assert "error: weights.pt: does not fit Tagger: it lacks embedding.weight, " in outcome.stderr


def test_random_weights(meter: Path, folder: UserFolder) -> None:
    outcome = check(meter, "--against", "my_nets:Meter", example="x.npy")
    assert outcome.exit_code == 2
    assert "error: my_nets:Meter: gives other weights at each call, so no file can agree" in outcome.stderr
    np.save("no_batch.npy", np.zeros(5, np.float32))  # refused after the warning, which saves the time of a proof
    outcome = export("my_nets:Meter", "--out", "random.onnx", example="no_batch.npy")
    assert outcome.exit_code == 2
    assert "warning: my_nets:Meter: gives other weights at each call, and these random ones are" in outcome.stderr


def test_options_reach_the_exporter(folder: UserFolder) -> None:
    """Two .npy files, fixed axes, an opset, a lowering, and JSON."""
    np.save("more.npy", np.full((5, 2, 2), 3, np.float32))
    options = ("--fixed", "x:1", "--fixed", "x:0", "--opset", 21, "--lowering", "scan", "--seed", 7, "--out", "m.onnx")
    outcome = export(METER, *options, "--example", "more.npy", "--json", example="x.npy")
    assert outcome.exit_code == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    assert (report["path"], report["verdict"], report["seed"]) == ("m.onnx", "passed", 7)
    assert (report["export"]["options"]["opset"], report["export"]["options"]["lowering"]) == (21, "scan")
    model = onnx.load("m.onnx")
    (x,) = model.graph.input
    assert [size.dim_value for size in x.type.tensor_type.shape.dim] == [5, 2, 2]
    assert [entry.version for entry in model.opset_import] == [21]
    assert "Scan" in {node.op_type for node in model.graph.node}


def test_a_file_that_fixes_an_axis_is_pointed_out(folder: UserFolder) -> None:
    outcome = export(METER, "--fixed", "x:0", "--out", "fixed.onnx", example="x.npy")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.splitlines()[-1] == (
        "note: x: axis 0 is fixed at 5 in the file, and the module takes other sizes"
    )


def test_a_file_with_weights_elsewhere_is_refused(meter: Path, folder: UserFolder) -> None:
    """As torch.onnx.export writes larger ones by default."""
    onnx.save(onnx.load(meter), "stock.onnx", save_as_external_data=True, size_threshold=0)
    outcome = check("stock.onnx", "--against", METER, example="x.npy")
    assert outcome.exit_code == 4
    assert outcome.stdout.splitlines() == [
        "parity of stock.onnx: failed",
        "note: judged by numbers alone: sizes between those tried are not covered",
    ]
    assert "in another file, which is not read; export it into one file, as torch.onnx.export" in outcome.stderr


def test_an_earlier_export_is_replaced_and_no_other_file(meter: Path, folder: UserFolder) -> None:
    content = meter.read_bytes()
    for name, other in (("text.onnx", b"my file"), ("altered.onnx", content[:-1] + b"x"), ("cut.onnx", content[:-9])):
        Path(name).write_bytes(other)
        before = contents(folder.path)
        outcome = export(METER, "--out", name, example="x.npy")
        assert_one_line(outcome, 2, f"{name}: is no intact export of a module, so it is not replaced; move it, or give")
        assert contents(folder.path) == before
    Path("rejected").mkdir()
    rejected = Path("rejected") / "new.onnx"
    rejected.write_bytes(b"my file")
    assert_one_line(export(METER, "--out", "new.onnx", example="x.npy"), 2, f"{rejected}: is no intact export of a mod")
    assert rejected.read_bytes() == b"my file"
    rejected.unlink()
    Path("again.onnx").write_bytes(content)
    outcome = export("my_nets:make_other_meter", "--out", "again.onnx", example="x.npy")
    assert outcome.exit_code == 0, outcome.stderr
    assert Path("again.onnx").read_bytes() != content


def test_a_file_of_a_run_is_not_replaced(meter: Path, folder: UserFolder) -> None:
    """It is sealed too, but has no entry for a module."""
    model = onnx.load(meter)
    kept = [entry for entry in model.metadata_props if entry.key not in ("module", "sha256")]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    Path("run.onnx").write_bytes(zoo.seal_onnx(model.SerializeToString(), {}))
    assert_one_line(export(METER, "--out", "run.onnx", example="x.npy"), 2, "run.onnx: is no intact export of a module")


@pytest.mark.skipif(unavailable("cuda") is None, reason="CUDA can run here")
def test_a_required_provider_that_is_missing(meter: Path, folder: UserFolder) -> None:
    before = contents(folder.path)
    for arguments in (("check", meter, "--against", METER), ("export", "--onnx", METER, "--out", "new.onnx")):
        outcome = run_zoo(*arguments, "--example", "x.npy", "--provider", "cuda", "--require", "cuda")
        assert outcome.exit_code == 5
        assert f"error: cuda strict: unavailable: {unavailable('cuda')}" in outcome.stderr
    assert contents(folder.path) == before


def test_a_module_that_cannot_be_exported(folder: UserFolder) -> None:
    outcome = export("my_nets:make_loop", example="x.npy")
    assert outcome.exit_code == 1
    error = outcome.stderr.splitlines()[-1]
    line = CODE.split("\n").index("            for step in x:") + 1
    assert error.startswith(f"error: {folder.path}/my_nets.py:{line}")
    assert not Path("make_loop.onnx").exists()


def test_an_example_in_float64_is_pointed_out(folder: UserFolder) -> None:
    np.save("wide.npy", np.zeros((5, 2, 2)))
    outcome = export(METER, "--out", "wide.onnx", example="wide.npy")
    assert outcome.exit_code == 2
    *_, warning, error = outcome.stderr.splitlines()
    assert warning.startswith("warning: wide.npy: has numbers in float64, and the module's weights are not; ")
    assert error.startswith("error: ")
    assert not Path("wide.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("export", "--onnx", TAGGER), 2, f"{TAGGER}: a module needs --example FILE: a .npz file"),
        (
            ("export", "--onnx", TAGGER, "--example", "x.npy", "--out", "net.pt"),
            2,
            "--out net.pt: expected a name that",
        ),
        (("export", "--onnx", TAGGER, "--example", "x.npy", "--fixed", "x"), 2, "--fixed x: expected ARGUMENT:AXIS"),
        (("export", "--onnx", TAGGER, "--example", "x.npy", "--fixed", "x:-1"), 2, "--fixed x:-1: expected ARGUMENT:A"),
        (
            ("export", "--onnx", TAGGER, "--example", "x.npy", "--lowering", "unrolled"),
            2,
            "--lowering unrolled: is for",
        ),
        (("export", "--onnx", "--example", "x.npy"), 2, "--example: is for a module of your own code"),
        (("export", "--onnx", "run", "--out", "x.onnx"), 2, "--out: is for a module of your own code"),
        (("export", "--onnx", "run", "--fixed", "x:1"), 2, "--fixed: is for a module of your own code"),
        (("export", "--onnx", "run", "--weights", "w.pt"), 2, "--weights: is for a module of your own code"),
        (("check", "--example", "x.npy"), 2, "--example: is for a module of your own code; add --against MODULE"),
        (("check", "x.npy", "--weights", "w.pt"), 2, "--weights: is for a module of your own code; add --against"),
        (("check", TAGGER), 2, f"{TAGGER}: is a module; name the file to prove, and add --against {TAGGER}"),
        (("check", "--against", TAGGER, "--example", "x.npy"), 2, "--against: needs the file to prove"),
        (("check", "x.onnx", "--against", TAGGER), 2, f"{TAGGER}: a module needs --example FILE"),
        (("check", "x.onnx", "--against", TAGGER, "--example", "x.npy"), 2, "x.onnx: there is no such file"),
        (("check", "x.npy", "--against", "tagger", "--example", "x.npy"), 2, "tagger: expected package.module:name"),
        (("check", "x.npy", "--against", TAGGER, "--foreign", "x.npy"), 2, "--foreign: judges another file"),
        (("check", "x.npy", "--against", TAGGER, "--matrix"), 2, "--matrix: judges another file"),
    ],
)
def test_calls_that_are_refused_before_code_runs(
    arguments: tuple[str, ...], code: int, text: str, folder: UserFolder
) -> None:
    assert_one_line(run_zoo(*arguments), code, text)


@pytest.mark.parametrize("option", [("--target", "cpu"), ("--steps", "3"), ("--states",), ("--streaming",)])
def test_options_of_a_run(option: tuple[str, ...], folder: UserFolder) -> None:
    assert_one_line(export(TAGGER, *option), 2, f"{option[0]}: is for a run; a module of your own code has the inputs")
    assert_one_line(export(TAGGER, "--precision", "int8"), 2, "--precision: is for a run")
