"""The page of `zoo report` fits a phone of 360 px and fills a screen of 1280 px, by the rules of its style sheet.

The tests need no browser: the layout was inspected with headless Chromium at 320, 360, 768 and 1280 px.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from tests.report.test_report import Page
from tests.run.test_run import record
from tests.support.command import run_zoo
from tests.support.runs import build_run
from zoo.plots.confusion import plot_confusion
from zoo.plots.curves import plot_curves
from zoo.plots.numbers import plot_series
from zoo.report.pictures import NARROW

WIDE = "screen and (min-width: 64rem)"
NARROWEST = 320
"""CSS pixels: the width to which a page must reflow (WCAG 2.2, 1.4.10)."""
REM = 16

Rules = dict[str, dict[str, str]]


def parse(style: str) -> dict[str, Rules]:
    """Return the declarations by media query ("" outside any) and selector; the last of several values wins."""
    text = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    blocks = re.findall(r"@media ([^{]+)\{((?:[^{}]*\{[^{}]*\})*)\s*\}", text)
    outside = re.sub(r"@(?:media|page)[^{]+\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", text)
    sheets: dict[str, Rules] = {}
    for query, block in [("", outside), *blocks]:
        rules = sheets.setdefault(query.strip(), {})
        for selectors, declarations in re.findall(r"([^{}]+)\{([^{}]*)\}", block):
            for selector in selectors.split(","):
                own = rules.setdefault(" ".join(selector.split()), {})
                own |= dict(re.findall(r"([\w-]+):\s*([^;]+?)\s*(?:;|$)", declarations))
    return sheets


@pytest.fixture(scope="module")
def sheets() -> dict[str, Rules]:
    return parse(files("zoo.report").joinpath("page.css").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Page of a run that was neither exported nor measured."""
    run = build_run(tmp_path_factory.mktemp("layout"), "rnn")
    assert run_zoo("report", run).exit_code == 0
    return Page(run / "report.html")


def test_pictures_shrink_with_the_page(sheets: dict[str, Rules], page: Page) -> None:
    assert sheets[""]["figure img"]["max-width"] == "100%"
    assert sheets[""]["figure img"]["height"] == "auto"
    for query, rules in sheets.items():
        wider = [selector for selector, rule in rules.items() if "img" in selector and "min-width" in rule]
        assert not wider, query
    assert not any("style" in attributes for _, attributes in page.tags)


def test_commands_wrap_in_their_box(sheets: dict[str, Rules], page: Page) -> None:
    rule = sheets[""]["pre"]
    assert rule["white-space"] == "pre-wrap"
    assert rule["overflow-wrap"] == "anywhere"
    assert "width" not in rule
    assert page.of("pre")
    assert not re.search(r'class="scroll"[^>]*>\s*<pre', page.source)


def test_nothing_is_wider_than_the_narrowest_screen(sheets: dict[str, Rules]) -> None:
    """Outside the rules for wide screens no minimum width exceeds it, and every column can shrink."""
    for selector, rule in sheets[""].items():
        for name in ("width", "min-width", "flex-basis"):
            for number, unit in re.findall(r"([\d.]+)(rem|px)", rule.get(name, "")):
                assert float(number) * (REM if unit == "rem" else 1) <= NARROWEST, selector
        for least in re.findall(r"minmax\(((?:[^(),]|\([^()]*\))+),", rule.get("grid-template-columns", "")):
            assert least == "0" or least.startswith("min(100%,"), selector
        if rule.get("display") == "grid":
            assert "grid-template-columns" in rule, selector


def test_a_wide_screen_has_two_columns(sheets: dict[str, Rules], page: Page) -> None:
    """A section with little content, or with one picture, takes one of the columns."""
    for selector in ("main", ".beside"):
        assert sheets[WIDE][selector]["display"] == "grid"
        assert sheets[WIDE][selector]["grid-template-columns"] == "repeat(2, minmax(0, 1fr))"
    assert sheets[WIDE]["main > .half"]["grid-column"] == "auto"
    assert {"class": "top half"} in page.of("div")
    halves = [section["aria-labelledby"] for section in page.of("section") if section.get("class") == "half"]
    assert halves == ["parity", "matrix", "placement", "precision", "latency"]
    assert {"class": "beside"} in page.of("div")  # the training section, which has two pictures


@pytest.mark.parametrize("classes", [2, 10, 12])
def test_pictures_of_a_training_are_legible_on_a_phone(tmp_path: Path, classes: int) -> None:
    """A letter of 10 points at 130 dpi, in a picture `NARROW` pixels wide shown at 328 px, is 7 px high."""
    plot_curves([record(1, best=True)], "accuracy", tmp_path / "curves.png")
    plot_confusion(np.eye(classes), [str(number) for number in range(classes)], tmp_path / "confusion.png")
    numbers = np.arange(10.0)
    plot_series({"training": (numbers, numbers), "test": (numbers, numbers)}, "sales", tmp_path / "predictions.png")
    assert 10 / 72 * 130 * 328 / NARROW > 7
    for name in ("curves", "confusion", "predictions"):
        _, width, _ = imread(tmp_path / f"{name}.png").shape
        assert width <= NARROW, name
