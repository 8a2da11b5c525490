"""Progress of long work: on a terminal, elsewhere, and not at all."""

from __future__ import annotations

import math
from io import StringIO

import pytest
from rich.console import Console

import zoo
from zoo.library.activity import activity
from zoo.library.progress import Lines, watch

RECORD = zoo.EpochRecord(1, 0.5, {"loss": 0.4, "accuracy": 0.9}, 0.1, 2.0, best=True)


def terminal() -> tuple[Console, StringIO]:
    drawn = StringIO()
    return Console(file=drawn, force_terminal=True, width=100, color_system=None), drawn


def test_the_bar_is_drawn_between_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.library.activity.PATIENCE", 0.0)
    screen, drawn = terminal()
    with activity(screen, still=True) as move:
        move("exporting onnx native", 0.0)
        move("exporting onnx scan", 0.0)
        assert "exporting onnx native" in drawn.getvalue()
        assert "exporting onnx scan" in drawn.getvalue()
        shown = len(drawn.getvalue())
        monkeypatch.setattr("zoo.library.activity.REFRESH", math.inf)
        move("exporting onnx scan", 0.5)
        assert len(drawn.getvalue()) == shown
        monkeypatch.setattr("zoo.library.activity.REFRESH", 0.0)
        move("exporting onnx scan", 0.5)
        assert len(drawn.getvalue()) > shown


def test_a_step_without_a_share_is_drawn() -> None:
    screen, drawn = terminal()
    with activity(screen, still=True) as move:
        move("writing model.onnx")
        assert "writing model.onnx" in drawn.getvalue()


def test_elsewhere_each_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with activity(Console(file=StringIO())) as move:
        move("first")
        move("first", 0.5)
        move("second")
    with activity(Console(file=StringIO()), "checking run") as move:
        move("third")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "first\nsecond\nchecking run: third\n")


def test_nothing_is_shown_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with activity(None) as move:
        move("first", 0.5)
    assert capsys.readouterr() == ("", "")


def test_a_notebook_without_widgets_gets_lines(capsys: pytest.CaptureFixture[str]) -> None:
    listener = watch(Console(force_jupyter=True, file=StringIO()), epochs=2, steps=3, metric="accuracy")
    assert isinstance(listener, Lines)
    with listener:
        listener.epoch(RECORD)
    assert capsys.readouterr().err.startswith("epoch 1/2: loss 0.5, validation loss 0.4, accuracy 0.9")
