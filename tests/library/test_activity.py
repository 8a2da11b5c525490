"""What a command shows on a terminal while it works, and how the proof reports its progress."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from tests.support.models import draw, make_model
from zoo.cli import output
from zoo.library.activity import Activity, time_left
from zoo.progress import silent
from zoo.proof.cases import draw_cases
from zoo.proof.expectations import Expectations


def shown(activity: Activity) -> str:
    """The line as it is on the terminal now."""
    console = Console(file=StringIO(), width=150, color_system=None, force_terminal=True)
    with console.capture() as capture:
        console.print(activity.progress.make_tasks_table(activity.progress.tasks))
    return capture.get().strip()


def test_a_bar_with_the_time_left_appears_after_three_seconds() -> None:
    now = 0.0
    screen = Console(file=StringIO(), width=150, color_system=None, force_terminal=True)
    with Activity(screen, "checking run", lambda: now) as activity:
        activity("reading")
        assert shown(activity).endswith("checking run: reading")
        activity("exact result 1", 0.0)
        now = 2.0
        activity("exact result 2", 0.2)
        assert shown(activity).endswith("checking run: exact result 2")
        now = 5.0
        activity("exact result 3", 0.5)
        assert "━" in shown(activity)
        assert shown(activity).endswith("5 s left")
        now = 60.0
        activity("exact result 1 of another file", 0.0)
        assert not shown(activity).endswith("left")
        now = 70.0
        activity("exact result 2 of another file", 0.1)
        assert shown(activity).endswith("1 min 30 s left")


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s left"), (59.4, "59 s left"), (125, "2 min 5 s left")])
def test_time_left(seconds: float, text: str) -> None:
    assert time_left(seconds) == text


def test_elsewhere_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with output.spinner("checking run") as progress:
        progress("exact result 1", 0.5)
    assert progress is silent
    assert capsys.readouterr() == ("", "")


def test_the_share_of_the_proof_grows_from_0_to_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """In passes of one row each, so that there are several for a batch."""
    monkeypatch.setattr("zoo.proof.passes.LARGEST", 1)
    calls: list[tuple[str, float | None]] = []
    cases = list(draw_cases(draw(8, 5), shapes=[(2, 1), (3, 7), (1, 7)]))
    expectations = Expectations(make_model("lstm"), cases, lambda text, share=None: calls.append((text, share)))
    assert calls == []
    expectations.at("float32")
    shares = [share for _, share in calls if share is not None]
    assert len(shares) == len(calls) > 8
    assert shares == sorted(set(shares))
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    calls.clear()
    expectations.at("float32")  # from the cache
    assert calls == []
