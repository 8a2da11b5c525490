"""`zoo bench`: the candidates, the results and their display. No test depends on a measured time."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from matplotlib.image import imread

import zoo
from tests.benchmarks import lowering
from tests.plugins import stranger
from tests.support.command import run_zoo
from tests.support.runs import build_run
from zoo.cli.bench import _notes, _show
from zoo.cli.compare import WIDTH
from zoo.cli.export import LOWERINGS as CHOICES
from zoo.entry_points import EntryPoint, entry_points
from zoo.errors import ExportError, ParityError
from zoo.jobs.bench import LONGEST_UNROLLED, LOWERINGS, Bench, Block, LeftOut, Plan, Row, bench
from zoo.plots.latency import plot_bench
from zoo.plugins.registry import Registry, build_registry, load_registry
from zoo.progress import silent
from zoo.run.run import Run
from zoo.runtime.providers import unavailable
from zoo.timing import WARMUP, Ratio
from zoo_onnx import OnnxExporter

FEW = ("--provider", "cpu", "--rounds", 2)
SCHEMA = {
    "type": "object",
    "required": ["schema_version", "run", "threads", "warmup", "blocks", "files", "left_out", "unavailable", "machine"],
    "properties": {
        "schema_version": {"const": 1},
        "blocks": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["provider", "batch", "time", "rounds", "rows"],
                "properties": {"rows": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/row"}}},
            },
        },
        "files": {"type": "array", "items": {"required": ["lowerings", "steps", "bytes", "seconds"]}},
        "left_out": {"type": "array", "items": {"required": ["name", "reason"]}},
        "unavailable": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "definitions": {
        "positive": {"type": "number", "exclusiveMinimum": 0},
        "row": {
            "type": "object",
            "required": ["name", "nodes"],
            "properties": {
                name: {"$ref": "#/definitions/positive"}
                for name in ("p50", "p95", "sequences_per_second", "steps_per_second")
            }
            | {
                "ratio": {
                    "required": ["median", "low", "high"],
                    "additionalProperties": {"$ref": "#/definitions/positive"},
                }
            },
        },
    },
}


@pytest.fixture(scope="module")
def gru(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("runs"), "gru")


@pytest.fixture(scope="module")
def strangers() -> Registry:
    """The built-in plugins and a third-party plugin, with a cell that has no equal ONNX operator."""
    own = [EntryPoint(name, module, "stranger 1.2.3") for name, module in stranger.ENTRY_POINTS.items()]
    return build_registry([*entry_points(), *own])


@pytest.fixture(scope="module")
def mgu(tmp_path_factory: pytest.TempPathFactory, strangers: Registry) -> Path:
    folder = tmp_path_factory.mktemp("mgu")
    (folder / "mgu.yaml").write_text(
        "data: {name: digits}\narchitecture: {name: mgu, hidden_size: 6}\n"
        "task: {name: classification}\ntraining: {epochs: 1}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.cli.output.usable_plugins", lambda: strangers)
        outcome = run_zoo("build", folder / "mgu.yaml", "--out", folder / "run", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    return folder / "run"


def names(block: Mapping[str, Any]) -> list[str]:
    return [row["name"] for row in block["rows"]]


def test_candidates_and_results(gru: Path) -> None:
    outcome = run_zoo("bench", gru, *FEW, "--batch", 1, "--batch", 3, "--time", 4, "--time", 9, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    jsonschema.validate(report, SCHEMA)
    assert (report["run"], report["threads"], report["warmup"]) == (str(gru), 1, WARMUP)
    places = [(block["provider"], block["batch"], block["time"], block["rounds"]) for block in report["blocks"]]
    assert places == [("cpu", 1, 4, 2), ("cpu", 3, 4, 2), ("cpu", 1, 9, 2), ("cpu", 3, 9, 2)]
    for block in report["blocks"]:
        assert names(block) == ["onnx auto = native", "onnx scan", "onnx unrolled", "torch fused", "torch cell"]
        for row in block["rows"]:
            assert row["p50"] <= row["p95"]
            assert row["sequences_per_second"] == block["batch"] / row["p50"]
            assert row["steps_per_second"] == block["batch"] * block["time"] / row["p50"]
            assert set(row["nodes"]) == ({"CPUExecutionProvider"} if row["name"].startswith("onnx") else set())
        assert set(block["rows"][0]["ratio"].values()) == {1.0}
    files = [(file["lowerings"], file["steps"]) for file in report["files"]]
    assert files == [(["auto", "native"], None), (["scan"], None), (["unrolled"], 4), (["unrolled"], 9)]
    assert report["left_out"] == []
    assert report["unavailable"] == {}
    kept = json.loads((gru / "bench.json").read_text())
    assert report.pop("picture") == str(gru / "bench.png")
    assert kept == report
    height, width = imread(gru / "bench.png").shape[:2]
    assert width > height > 400


def test_the_run_gets_no_other_file(gru: Path) -> None:
    before = {path.name for path in gru.iterdir()}
    assert run_zoo("bench", gru, *FEW, "--batch", 1, "--time", 2, "--lowering", "native").exit_code == 0
    assert {path.name for path in gru.iterdir()} - before <= {"bench.json", "bench.png"}


def test_without_options_the_times_are_those_of_the_data_and_longer(gru: Path) -> None:
    result = bench(Run(gru), load_registry(), Plan(providers=["cpu"], rounds=1), silent)
    assert [(block.batch, block.time) for block in result.blocks] == [(1, 8), (32, 8), (1, 32), (32, 32)]


def test_the_given_lowerings_are_measured_in_order(gru: Path) -> None:
    named = ("--lowering", "scan", "--lowering", "auto")
    outcome = run_zoo("bench", gru, *FEW, "--batch", 1, "--time", 3, *named, "--json")
    (block,) = json.loads(outcome.stdout)["blocks"]
    assert names(block) == ["onnx scan", "onnx auto", "torch fused", "torch cell"]


def test_an_unrolled_file_of_many_steps_is_measured_only_on_request(gru: Path) -> None:
    steps = LONGEST_UNROLLED + 1
    plan = Plan(providers=["cpu"], batches=[1], times=[2, steps], rounds=1)
    result = bench(Run(gru), load_registry(), plan, silent)
    short, long = ([row.name for row in block.rows] for block in result.blocks)
    assert set(short) - set(long) == {"onnx unrolled"}
    assert [candidate.name for candidate in result.left_out] == [f"onnx unrolled, {steps} steps"]
    assert f"beyond {LONGEST_UNROLLED} steps" in result.left_out[0].reason
    requested = bench(Run(gru), load_registry(), replace(plan, times=[steps], lowerings=["unrolled"]), silent)
    assert [row.name for row in requested.blocks[0].rows] == ["onnx unrolled", "torch fused", "torch cell"]


def test_a_cell_without_an_equal_operator(mgu: Path, strangers: Registry) -> None:
    plan = Plan(providers=["cpu"], batches=[2], times=[3], rounds=1)
    result = bench(Run(mgu), strangers, plan, silent)
    assert [row.name for row in result.blocks[0].rows] == ["onnx auto = scan", "onnx unrolled", "torch cell"]
    left_out = {candidate.name: candidate.reason for candidate in result.left_out}
    assert list(left_out) == ["onnx native", "torch fused"]
    assert "names no ONNX operator that it equals" in left_out["onnx native"]
    assert left_out["torch fused"] == "the cell 'mgu' has no fused kernel with these options"
    with pytest.raises(ExportError, match="names no ONNX operator that it equals"):
        bench(Run(mgu), strangers, replace(plan, lowerings=["native"]), silent)


@pytest.mark.parametrize("spec", ["sentiment", "characters"])
def test_tokens_with_and_without_lengths(spec: str, tmp_path: Path) -> None:
    run = build_run(tmp_path, spec, "training.epochs=1", *(["data.window=20"] if spec == "characters" else []))
    outcome = run_zoo("bench", run, *FEW, "--batch", 2, "--time", 5)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stderr == f"{run / 'bench.json'}, {run / 'bench.png'}: the results as JSON and as a picture\n"


class WrongScan(OnnxExporter):
    """Exporter that changes the model for the lowering ``scan``."""

    def export(self, model: zoo.Model, path: Path, metadata: Mapping[str, str], options: zoo.ExportOptions) -> None:
        if options.lowering == "scan":
            model = copy.deepcopy(model)
            with torch.no_grad():
                next(model.head.parameters()).add_(1e-3)
        super().export(model, path, metadata, options)


def test_a_file_with_a_wrong_output_is_not_measured(gru: Path) -> None:
    wrong = replace(load_registry(), exporters={"onnx": WrongScan})
    with pytest.raises(ParityError, match=r"onnx scan on cpu: the output differs from the model's: logits: error "):
        bench(Run(gru), wrong, Plan(providers=["cpu"], rounds=1, lowerings=["native", "scan"]), silent)


# threads


def test_onnx_runtime_and_torch_get_the_same_number_of_threads(gru: Path) -> None:
    before, counts = torch.get_num_threads(), set[int]()
    plan = Plan(providers=["cpu"], batches=[1], times=[2], rounds=1, threads=2, lowerings=["native"])
    result = bench(Run(gru), load_registry(), plan, lambda *_: counts.add(torch.get_num_threads()))
    assert counts == {2}
    assert torch.get_num_threads() == before
    assert result.threads == 2


# providers


@pytest.mark.skipif(unavailable("cuda") is None, reason="CUDA can run here")
def test_an_unavailable_provider_is_reported(gru: Path) -> None:
    arguments = ("--rounds", 1, "--batch", 1, "--time", 2, "--lowering", "native")
    outcome = run_zoo("bench", gru, *arguments)
    assert outcome.exit_code == 0, outcome.stderr
    assert f"cuda: unavailable: {unavailable('cuda')}\n" in outcome.stderr
    both = run_zoo("bench", gru, *arguments, "--provider", "cuda", "--provider", "cpu", "--json")
    assert json.loads(both.stdout)["unavailable"] == {"cuda": unavailable("cuda")}
    alone = run_zoo("bench", gru, *arguments, "--provider", "cuda")
    assert (alone.exit_code, alone.stdout) == (5, "")
    assert alone.stderr == f"error: cuda: unavailable: {unavailable('cuda')}\n"


# the display


def row(name: str, **changes: Any) -> Row:
    """Return a row with the longest possible numbers."""
    values: dict[str, Any] = {
        "p50": 0.123456,
        "p95": 0.234567,
        "sequences_per_second": 1_234_567.8,
        "steps_per_second": 123_456_789.1,
        "ratio": Ratio(123.456, 111.111, 135.792),
        "nodes": {},
    }
    return Row(name, **{**values, **changes})


def result(*rows: Row, provider: str = "cuda", **changes: Any) -> Bench:
    blocks = [Block(provider, batch, time, 101, list(rows)) for batch in (1, 1024) for time in (8, 2048)]
    values: dict[str, Any] = {"left_out": [], "unavailable": {}, "threads": 1}
    return Bench(run="runs/gru", warmup=WARMUP, blocks=blocks, files=[], **{**values, **changes})


def test_the_table_fits_a_hundred_columns(capsys: pytest.CaptureFixture[str]) -> None:
    _show(result(row("onnx auto = native"), row("onnx unrolled"), threads=16))
    first, _, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("runs/gru: ONNX Runtime ")
    assert first.endswith(", 16 threads each")
    assert max(map(len, lines)) <= WIDTH
    heading, below, reference, other = lines[:4]
    assert heading.startswith("cuda, batch 1, 8 steps ")
    assert below.startswith("101 rounds ")
    assert reference.split()[-1] == "1"
    for text in ("onnx unrolled", "123 ms", "235 ms", "1,234,568", "123,456,789", "123 (111..136)"):
        assert text in other


def test_the_notes_below_the_table() -> None:
    nodes = {"CUDAExecutionProvider": 6, "CPUExecutionProvider": 2}
    notes = _notes(
        result(
            row("onnx native", nodes=nodes),
            row("onnx scan", nodes={"CUDAExecutionProvider": 8}),
            row("torch cell"),
            left_out=[LeftOut("torch fused", "none")],
            unavailable={"cpu": "gone"},
        )
    )
    assert notes == [
        "cpu: unavailable: gone",
        "torch fused: left out: none",
        "cuda, onnx native: 2 of 8 nodes ran on another provider",
    ]


@pytest.mark.parametrize(
    "rows",
    [
        [row("onnx native")],
        [row(f"onnx {number}", p50=1e-5 * 8**number, p95=1.2e-5 * 8**number) for number in range(6)],
    ],
    ids=["single", "far apart"],
)
def test_any_rows_can_be_drawn(rows: list[Row], tmp_path: Path) -> None:
    plot_bench(result(*rows), tmp_path / "bench.png")
    assert imread(tmp_path / "bench.png").std() > 0


def test_lowerings_are_the_exporters() -> None:
    """The choices of the commands are written out there, so that --help imports no torch."""
    assert CHOICES == LOWERINGS


# the table of exporters/README.md


def test_the_table_is_written_between_the_marks_of_the_page() -> None:
    page = lowering.PAGE.read_text(encoding="utf-8")
    seconds = {"native": [1e-3, 2e-3, 4e-3]} | {name: [2e-3, 4e-3, 8e-3] for name in ("scan", "unrolled")}
    seconds |= {name: [3e-3, 6e-3, 12e-3] for name in ("torch fused", "torch cell")}
    made = lowering.with_table(page, {("gru", 1, 32): seconds, ("lstm", 32, 8): seconds}, date(2026, 1, 2))
    assert made.partition(lowering.BEGIN)[0] == page.partition(lowering.BEGIN)[0]
    assert "Measured on 2026-01-02 (" in made
    rows = [line for line in made.splitlines() if line.startswith(("| LSTM |", "| GRU |", "| RNN |"))]
    ratios = "2 (2..2) | 2 (2..2) | 3 (3..3) | 3 (3..3)"
    assert rows == [f"| LSTM | 32 | 8 | 2 ms | {ratios} |", f"| GRU | 1 | 32 | 2 ms | {ratios} |"]
    assert lowering.with_table(made, {}, date(2026, 1, 2)).count("| GRU |") == 0
    with pytest.raises(ValueError, match="lacks the marks"):
        lowering.with_table("no marks", {}, date(2026, 1, 2))


# errors


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no"], 1, "no: is not a run; 'zoo build SPEC' makes one"),
        (["--batch", "0"], 2, "0 is not in the range x>=1"),
        (["--lowering", "best"], 2, "'best' is not one of"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_zoo("bench", *arguments)
    assert (outcome.exit_code, outcome.stdout) == (code, "")
    assert message in outcome.stderr.splitlines()[-1]
