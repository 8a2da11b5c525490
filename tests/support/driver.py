"""Runs ``zoo`` in a process of its own, to which something happens at an exact moment.

    python -m tests.support.driver EVENT FUNCTION COUNT zoo's arguments

Once FUNCTION (``package.module:name`` or ``…:Class.name``) has returned for the COUNT-th time, the process gets the
signal EVENT. Where EVENT is ``wait`` it writes the file ``waiting-RANK`` and stands still until SIGTERM comes from
outside. Environment: CHECKPOINTS says where the engine is to write one (``step``, ``epoch`` or ``never``), ONLY_RANK to
which process of a group alone the event happens.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT
from zoo.cli.main import main
from zoo.training import engine

STEP = "zoo.training.engine:Engine._step"


def command(event: str, function: str, count: int, *arguments: object) -> list[str]:
    """What starts such a process, after the path of Python."""
    return ["-m", "tests.support.driver", event, function, str(count), *map(str, arguments)]


def environment(checkpoints: str, **more: str) -> dict[str, str]:
    """The environment that such a process needs."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "CHECKPOINTS": checkpoints, **more}


def happen(event: str) -> None:
    rank = os.environ.get("RANK", "0")
    if os.environ.get("ONLY_RANK", rank) != rank:
        return
    if event != "wait":
        os.kill(os.getpid(), signal.Signals[event])
        return
    handler = signal.getsignal(signal.SIGTERM)
    Path(f"waiting-{rank}").touch()
    while signal.getsignal(signal.SIGTERM) is handler:  # the engine puts the old handler back when a signal has come
        time.sleep(0.01)


def arrange(event: str, function: str, count: int) -> None:
    module, _, path = function.partition(":")
    owner: Any = import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original, calls = getattr(owner, name), 0

    def counted(*args: object, **options: object) -> object:
        nonlocal calls
        result = original(*args, **options)
        calls += 1
        if calls == count:
            happen(event)
        return result

    setattr(owner, name, counted)


if __name__ == "__main__":
    often, never = -1.0, float("inf")
    checkpoints = os.environ["CHECKPOINTS"]
    engine.CHECKPOINT_SECONDS = often if checkpoints == "step" else never
    engine.EPOCH_CHECKPOINT_SECONDS = often if checkpoints == "epoch" else never
    arrange(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.argv[1:] = sys.argv[4:]
    main()
