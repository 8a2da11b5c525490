"""``zoo report``: one self-contained page about a run and its proofs."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from html import unescape
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.typing import ColorType
from PIL import Image

from tests.support.command import Outcome, run_zoo
from tests.support.runs import build_exported_run
from zoo.exporting.exporter import GraphSummary
from zoo.plots.heat import FAULT, Cell, Grid, colour_of, plot_grids
from zoo.plots.twin import GROUND, size_of, twins
from zoo.report.matrix import grids
from zoo.report.placement import GONE, MOST, Drawing, drawings
from zoo.report.proofs import Proof
from zoo.run.model_card import write_card
from zoo.run.run import Run

VOID = {"meta", "img", "source", "br"}
MOST_BYTES = 1_500_000


class Page(HTMLParser):
    """Parsed page: its tags with their attributes, and its text; fails on a tag that is not closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        """Visible text, with single spaces."""
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all tags with this name."""
        return [attributes for name, attributes in self.tags if name == tag]


def report(run: Path, *arguments: object) -> tuple[Page, dict[str, Any]]:
    """Return the page of a run, and the JSON that the command prints."""
    outcome = run_zoo("report", run, "--json", *arguments)
    assert outcome.exit_code == 0, outcome.stderr
    printed = json.loads(outcome.stdout)
    return Page(Path(printed["path"])), printed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run exported with Scan nodes, so that there are loop bodies to draw."""
    return build_exported_run(tmp_path_factory.mktemp("report"), "gru", lowering="scan")


@pytest.fixture(scope="module")
def reported(made: Path) -> tuple[Page, dict[str, Any]]:
    return report(made)


@pytest.fixture(scope="module")
def page(reported: tuple[Page, dict[str, Any]]) -> Page:
    return reported[0]


@pytest.fixture(scope="module")
def odd(made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, dict[str, Any]]:
    """Report of a run with a hostile name, files of every verdict, and the results of all other commands."""
    run = Path(shutil.copytree(made, tmp_path_factory.mktemp("odd") / "run"))
    change(run / "config.json", lambda config: config.update(name=HOSTILE, description="<img src=x>", data="<b>"))
    folder = run / "onnx"
    proof = json.loads((folder / "parity.json").read_text())
    write(folder / "parity.int8.json", {**proof, **LOWER})
    (folder / "model.int8.onnx").write_bytes(b"not ONNX")
    write(folder / "parity.fp16.json", spoilt(proof, "model.fp16.onnx", "ill-conditioned", CHAOTIC))
    write(folder / "parity.bf16.json", spoilt(proof, "model.bf16.onnx", "unavailable", "libcublasLt.so.13 not found"))
    write(folder / "rejected" / "parity.json", spoilt(proof, "model.onnx", "failed", OVER))
    head = {"schema_version": 1, "architecture": "gru", "full": False, "worst": 0.75, "seconds": 3.2}
    write(folder / "matrix.json", {**head, "counts": Counter(row["status"] for row in ROWS), "rows": ROWS})
    write(run / "bench.json", BENCH)
    return report(run)


HOSTILE = "<script>alert(1)</script>\"'&"
CHAOTIC = "logits: the model amplifies rounding 12,000 times"
OVER = "logits: error 3.10e-04 is 37.2 times its budget"


def write(file: Path, value: object) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(value))


def spoilt(proof: Mapping[str, Any], file: str, status: str, reason: str) -> dict[str, Any]:
    """Return the proof of another file, which did not pass."""
    other: dict[str, Any] = json.loads(json.dumps(proof))
    (result,) = other["providers"]
    result.update(status=status, reason=reason)
    if status == "unavailable":
        result.update(outputs=[], placement=[])
    elif status == "failed":  # null in JSON stands for a value that is not finite
        result["outputs"][0].update(over_budget=None, max_error=None, errors=[None] * len(proof["cases"]))
    return {**other, "file": file, "verdict": status, "reasons": [f"cpu: {reason}"], "precision": "float16"}


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run to change."""
    return Path(shutil.copytree(made, tmp_path / "my run"))


def change(file: Path, update: Callable[[Any], None]) -> None:
    """Update the value in a JSON file."""
    value = json.loads(file.read_text())
    update(value)
    file.write_text(json.dumps(value))


# --- the page -------------------------------------------------------------------------------------------------------


def test_page_is_accessible_html(page: Page) -> None:
    assert page.source.lstrip().startswith("<!DOCTYPE html>")
    assert page.of("html")[0]["lang"] == "en"
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.of("meta")
    counts = Counter(tag for tag, _ in page.tags)
    assert counts["h1"] == counts["main"] == 1
    assert all(heading.get("scope") in ("row", "col") for heading in page.of("th"))
    assert counts["table"] == counts["caption"] > 1
    for picture in page.of("img"):
        assert re.search(r"\d", picture["alt"] or ""), picture["alt"]
        assert int(picture["width"] or 0) > 100
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(names)) == len(names)
    assert {attributes.get("aria-labelledby") for attributes in page.of("section")} == set(names)


def test_page_is_self_contained(page: Page) -> None:
    assert not {"script", "link", "iframe", "base", "object"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for name in ("src", "srcset", "href", "poster", "action"):
            assert (attributes.get(name) or "data:image/png;base64,").startswith("data:image/png;base64,")
    (style,) = re.findall(r"<style>(.*?)</style>", page.source, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    assert len(page.source.encode()) < MOST_BYTES


def test_each_picture_is_light_and_dark_in_the_page_and_as_a_file(reported: tuple[Page, dict[str, Any]]) -> None:
    page, printed = reported
    names = {Path(picture).name for picture in printed["pictures"]}
    assert {"parity-model.png", "parity-model-dark.png", "curves.png", "confusion-dark.png"} <= names
    assert len(page.of("img")) == len(page.of("source")) == len(names) / 2
    for picture in printed["pictures"]:
        pixels = np.asarray(Image.open(BytesIO(Path(picture).read_bytes())).convert("L"))
        ground = np.bincount(pixels.ravel()).argmax()
        assert (ground < 40) if "-dark" in picture else (ground > 240), picture
    for source in page.of("source"):
        assert source["media"] == "screen and (prefers-color-scheme: dark)"


def test_verdict_and_results_are_shown(page: Page, made: Path) -> None:
    config = json.loads((made / "config.json").read_text())
    proof = json.loads((made / "onnx" / "parity.json").read_text())
    worst = max(proof["providers"][0]["outputs"], key=lambda output: output["over_budget"])
    naive = config["baselines"]["majority"]["accuracy"]
    for words in (
        "model.onnx passed",
        "cpu: passed",
        f"The largest error is {worst['over_budget']:.2f} of its budget, in {worst['name']}",
        f"Test accuracy {config['test']['accuracy']:.4g} (naive: majority {naive:.4g})",
        "E. Alpaydin and C. Kaynak",
        f"torch {config['versions']['torch']}",
        f"zoo build {made / 'spec.yaml'}",
    ):
        assert words in page.text, words


def test_values_of_the_picture_are_in_a_table(page: Page, made: Path) -> None:
    (result,) = json.loads((made / "onnx" / "parity.json").read_text())["providers"]
    for output in result["outputs"]:
        for value in (*output["errors"], *output["budgets"]):
            assert f"<td>{value:.1e}</td>" in page.source


def test_texts_of_the_run_are_escaped(odd: tuple[Page, dict[str, Any]]) -> None:
    page, _ = odd
    assert not page.of("script")
    assert all((picture["src"] or "").startswith("data:") for picture in page.of("img"))
    assert "<h1>&lt;script&gt;" in page.source
    assert HOSTILE in unescape(page.source)
    assert len(page.source.encode()) < MOST_BYTES


def test_missing_sections_are_listed_with_their_commands(run: Path) -> None:
    shutil.rmtree(run / "onnx")
    page, printed = report(run)
    assert printed["verdict"] is None
    assert [section["section"] for section in printed["missing"]] == ["proofs", "matrix", "precision", "bench"]
    for section in printed["missing"]:
        assert section["command"].endswith(f" '{run}'")  # the path contains a space
        assert f"{section['what']} This command does it: {section['command']}" in page.text
    outcome = run_zoo("report", run)
    assert outcome.stdout == f"{run / 'report.html'}\n"
    assert f"zoo bench '{run}'" in outcome.stderr


@pytest.mark.parametrize(
    ("file", "status", "text"),
    [
        ("rejected/model.onnx", "failed", f"cpu: failed {OVER}."),
        ("model.fp16.onnx", "ill-conditioned", f"cpu: ill-conditioned {CHAOTIC}. Where it can be judged, the largest"),
        ("model.bf16.onnx", "unavailable", "cpu: unavailable libcublasLt.so.13 not found."),
    ],
)
def test_a_verdict_other_than_passed_is_explained(
    odd: tuple[Page, dict[str, Any]], file: str, status: str, text: str
) -> None:
    page, printed = odd
    assert printed["verdict"] == "failed"
    assert f"{file} {status} " in page.text
    assert text in page.text
    assert f'class="verdict {status}"' in page.source


def test_a_rejected_file_comes_after_the_others(odd: tuple[Page, dict[str, Any]]) -> None:
    page, printed = odd
    assert "rejected/model.onnx failed Rejected: a file replaces" in page.text
    assert page.text.index("model.onnx passed") < page.text.index("rejected/model.onnx failed")
    assert any(picture.endswith("parity-rejected-model.png") for picture in printed["pictures"])


def test_of_a_missing_or_damaged_file_the_nodes_that_ran_are_drawn(odd: tuple[Page, dict[str, Any]]) -> None:
    text = odd[0].text
    assert "model.fp16.onnx no longer exists: only nodes that ran are drawn" in text
    assert re.search(r"model\.int8\.onnx: [^:]*(: [^:]*)*: only nodes that ran are drawn", text)
    assert text.count("only nodes that ran are drawn") == 3  # the rejected file is missing too


def test_a_damaged_report_is_named(run: Path) -> None:
    (run / "onnx" / "parity.json").write_text('{"verdict"')
    assert_one_line(run_zoo("report", run), f"{run / 'onnx' / 'parity.json'}: cannot be read: ", "'zoo check'")


def assert_one_line(outcome: Outcome, *parts: str) -> None:
    assert outcome.exit_code == 1
    assert outcome.stderr.count("\n") == 1
    for part in parts:
        assert part in outcome.stderr


def test_the_default_is_the_latest_run_and_out_names_the_page(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made, tmp_path / "runs" / "last", ignore=shutil.ignore_patterns("onnx", "report*"))
    monkeypatch.chdir(tmp_path)
    outcome = run_zoo("report", "--out", tmp_path / "elsewhere" / "a.html")
    assert outcome.stdout == f"{tmp_path / 'elsewhere' / 'a.html'}\n"
    assert Page(tmp_path / "elsewhere" / "a.html").of("h1") == [{}]
    assert not (tmp_path / "runs" / "last" / "report.html").exists()


# --- results of other commands ---------------------------------------------------------------------------------------


def row(status: str, over_budget: float | None, **settings: object) -> dict[str, Any]:
    """Return a row of matrix.json."""
    plain = {
        "direction": "forward",
        "layers": 1,
        "bias": True,
        "states": "none",
        "lengths": "none",
        "weights": "gain 1",
        "opset": 20,
        "batch": 3,
        "time": 28,
        "mode": "cpu",
    }
    return {**plain, **settings, "status": status, "over_budget": over_budget, "reason": f"{status} for a reason"}


ROWS = [
    row("passed", 0.25),
    row("passed", 0.75, bias=False, opset=17),
    row("ill-conditioned", 0.5, weights="gain 3", time=512, batch=16),
    row("failed", None, direction="reverse", lengths="mixed"),
    row("refused", 0.0, direction="reverse", opset=17, batch=None, time=None, bias=None),
]


def test_a_cell_of_the_matrix_is_the_worst_of_its_proofs() -> None:
    structure, options = grids(ROWS)
    worst = {name: dict(zip(structure.columns, cells, strict=True)) for name, cells in _rows(structure)}
    assert worst == {
        "forward 1 gain 1": {"mixed": None, "none": Cell("passed", 0.75)},
        "forward 1 gain 3": {"mixed": None, "none": Cell("ill-conditioned", 0.5)},
        "reverse 1 gain 1": {"mixed": Cell("failed", None), "none": Cell("refused", None)},
    }
    assert list(options.columns) == ["3x28", "16x512"]
    assert dict(_rows(options))["opset 20"] == [Cell("failed", 0.25), Cell("ill-conditioned", 0.5)]
    assert [name for name, _ in _rows(options)] == ["opset 17", "opset 20", "bias off", "bias on", "states none"]


def _rows(grid: Grid) -> list[tuple[str, list[Cell | None]]]:
    return [(name, list(cells)) for name, cells in zip(grid.rows, grid.cells, strict=True)]


def test_matrix_precision_and_latency_are_shown(odd: tuple[Page, dict[str, Any]]) -> None:
    page, printed = odd
    assert printed["missing"] == []
    for words in (
        "2 passed, 1 ill-conditioned, 1 failed, 1 refused; largest error that passed: 0.75",
        "failed for a reason",
        "model.int8.onnx int8 passed",
        "0.31 (5.0 kB) 1.40 (1.30 to 1.50) 0.91 99.50%",
        "model.int8.onnx : smaller (0.31x): worth it for size",
        "onnx scan 0.3 ms 0.4 ms 3,333 26,664 2.18 (1.75..2.6)",
        "model.fp16.onnx : not compared with the float32 file",
        "cuda: unavailable: no library",
    ):
        assert words in page.text, words
    alts = [picture["alt"] for picture in page.of("img")]
    assert any("Heat map of 5 proofs: 2 passed" in (alt or "") for alt in alts)
    assert any("onnx scan 0.3 ms, 2.18 times the first" in (alt or "") for alt in alts)
    assert {"matrix.png", "latency-cpu-batch-1-8-steps.png"} <= {Path(picture).name for picture in printed["pictures"]}


LOWER = {
    "file": "model.int8.onnx",
    "precision": "int8",
    "against_float32": {
        "size": 5000,
        "size_ratio": 0.31,
        "latency": [{"provider": "cpu", "batch": 1, "time": 8, "ratio": 1.4, "low": 1.3, "high": 1.5}],
        "metrics": {"float32": {"accuracy": 0.92}, "this": {"accuracy": 0.91}},
        "agreement": 0.995,
        "verdict": "smaller (0.31x): worth it for size",
    },
}
_SPEED = {"p95": 4e-4, "sequences_per_second": 3333.0, "steps_per_second": 26664.0, "nodes": {}}
BENCH = {
    "schema_version": 1,
    "run": "gru",
    "threads": 1,
    "warmup": 10,
    "files": [],
    "left_out": [],
    "unavailable": {"cuda": "no library"},
    "machine": "a machine",
    "versions": {"torch": "2"},
    "blocks": [
        {
            "provider": "cpu",
            "batch": 1,
            "time": 8,
            "rounds": 21,
            "rows": [
                {"name": "onnx native", "p50": 1.4e-4, **_SPEED, "ratio": {"median": 1, "low": 1, "high": 1}},
                {"name": "onnx scan", "p50": 3e-4, **_SPEED, "ratio": {"median": 2.18, "low": 1.75, "high": 2.6}},
            ],
        }
    ],
}


def test_model_card_contains_the_short_form(run: Path) -> None:
    proof = json.loads((run / "onnx" / "parity.json").read_text())
    write(run / "onnx" / "parity.int8.json", {**proof, **LOWER})
    write_card(Run(run))
    card = (run / "README.md").read_text()
    worst = max(output["over_budget"] for output in proof["providers"][0]["outputs"])
    size = (run / "onnx" / "model.onnx").stat().st_size / 1000
    assert "| file | precision | size | verdict | cpu |\n|---|---|---|---|---|\n" in card
    assert f"| `model.onnx` | float32 | {size:,.1f} kB | **passed** | passed, {worst:.2f} of its budget |\n" in card
    assert f"| `model.int8.onnx` | int8 |  | **passed** | passed, {worst:.2f} of its budget |\n" in card
    assert "`zoo report` makes a page" in card


# --- placement ------------------------------------------------------------------------------------------------------


def draw(placed: list[tuple[str, str, str]], nodes: list[tuple[str, str, str]] | None = None) -> Drawing:
    """Return the drawing of a file with these placed nodes and these nodes in its graph."""
    placement = [
        {"name": name, "operator": operator, "provider": f"{provider}ExecutionProvider"}
        for name, operator, provider in placed
    ]
    proof = Proof(Run(Path()), Path("onnx/parity.json"), {"providers": [{"name": "cpu", "placement": placement}]})
    (drawing,) = drawings(proof, None if nodes is None else GraphSummary({}, {}, {}, nodes))
    return drawing


def test_nodes_of_a_body_are_inside_their_loop() -> None:
    body = [("a/x/step/m", "MatMul", "CUDA"), ("a/x/step/n", "MatMul", "CUDA"), ("a/x/step/t", "Tanh", "CPU")]
    rest = [("a/x", "Scan", "CPU"), ("a/x2", "Scan", "CUDA"), ("a/x2/step/t", "Tanh", "CUDA"), ("M", "Memcpy", "CUDA")]
    nodes = [("a/f", "Transpose", ""), ("a/x", "Scan", "forward"), ("a/x2", "Scan", ""), ("head", "Gemm", "")]
    drawing = draw([*body, *rest], nodes)
    layer, head, added = drawing.parts
    gone, first, second = layer.boxes
    assert (gone.operator, gone.provider) == ("Transpose", GONE)
    assert [(box.operator, box.count, box.provider) for box in first.body] == [
        ("MatMul", 2, "CUDA"),
        ("Tanh", 1, "CPU"),
    ]
    assert [(box.operator, box.provider) for box in second.body] == [("Tanh", "CUDA")]
    assert [box.provider for box in head.boxes] == [GONE]
    assert (added.name, added.boxes[0].operator) == ("added by ONNX Runtime", "Memcpy")
    assert drawing.counts == {"CUDA": 5, "CPU": 2, GONE: 2}


def test_many_similar_nodes_share_a_box() -> None:
    nodes = [(f"layer/{step}/{name}", name, "CPU") for step in range(100) for name in ("Gemm", "Tanh")]
    (layer,) = draw(nodes).parts
    assert [(box.operator, box.count) for box in layer.boxes] == [("Gemm", 100), ("Tanh", 100)]
    (few,) = draw(nodes[:MOST]).parts
    assert len(few.boxes) == MOST


def test_the_drawing_shows_every_node_that_ran(page: Page, made: Path) -> None:
    (result,) = json.loads((made / "onnx" / "parity.json").read_text())["providers"]
    ran = len(result["placement"])
    assert f"{ran} nodes on CPU" in page.text
    assert "each step:" in page.text
    drawn = page.source[page.source.index('<ol class="parts">') : page.source.index("</ol>")]
    counted = sum(
        int(count or 1) for count in re.findall(r"<b>\w+(?: \W (\d+))?</b>\s*<span class=\"where\">CPU", drawn)
    )
    assert counted == ran


# --- colours --------------------------------------------------------------------------------------------------------


def luminance(colour: ColorType) -> float:
    """Return the relative luminance of WCAG 2.2: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(first: ColorType, second: ColorType) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_on_its_background(page: Page, scheme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", page.source, re.DOTALL)
    _, light, dark = (dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in blocks)
    colours: Mapping[str, str] = light if scheme == "light" else {"ground": GROUND, **dark}
    words = set(colours) - {"ground", "panel", "line"}
    assert {"text", "soft", "passed", "failed", "ill", "unavailable", "p0", "p5"} <= words
    for name in words:
        for ground in ("ground", "panel"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def test_numbers_of_the_heat_map_have_contrast_in_light_and_dark() -> None:
    inks = {"passed": "#000000", "refused": "#000000", "failed": "#ffffff"}
    cells = [Cell("passed", share) for share in np.linspace(0, 1, 11)] + [Cell("refused", None), Cell("failed", 30.0)]
    for cell in cells:
        patch = np.array([[to_rgb(colour_of(cell)), to_rgb(inks[cell.status])]])
        file = BytesIO()
        Image.fromarray((patch * 255).round().astype(np.uint8)).save(file, "PNG")
        for twin in twins(file.getvalue()):
            ground, ink = np.asarray(Image.open(BytesIO(twin)).convert("RGB"))[0] / 255
            assert contrast(tuple(ground), tuple(ink)) >= 4.5, cell
    assert to_rgb(colour_of(cells[-1])) == to_rgb(FAULT)


def test_dark_twin_inverts_lightness_and_keeps_the_hue() -> None:
    file = BytesIO()
    Image.fromarray(np.array([[[255, 255, 255], [0, 0, 0], [200, 0, 0]]], np.uint8)).save(file, "PNG")
    white, black, red = np.asarray(Image.open(BytesIO(twins(file.getvalue())[1])).convert("RGB"))[0].tolist()
    assert white == [int(GROUND[at : at + 2], 16) for at in (1, 3, 5)]
    assert black == [255, 255, 255]
    assert red[0] == 255
    assert red[1] - red[2] in (-3, -2, -1, 0)  # the background itself is bluish
    assert red[1] < 100


def test_a_matrix_of_one_cell_can_be_drawn(tmp_path: Path) -> None:
    plot_grids([Grid("one", ["row"], ["column"], [[None]])], tmp_path / "a.png")
    assert size_of((tmp_path / "a.png").read_bytes())[0] > 400
