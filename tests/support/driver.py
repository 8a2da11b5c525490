"""``zoo`` in a process of its own, which receives a signal at an exact moment.

    python -m tests.support.driver EVENT FUNCTION COUNT zoo's arguments

After the COUNT-th call of FUNCTION (``package.module:name`` or ``…:Class.name``) the process sends itself the signal
EVENT. If EVENT is ``wait``, it writes the file ``waiting-RANK`` and waits for a SIGTERM from outside. Environment:
CHECKPOINTS is the point at which the engine writes checkpoints (``step``, ``epoch`` or ``never``); ONLY_RANK restricts
the event to one process of a group.
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
    """Return the arguments of Python that start the process."""
    return ["-m", "tests.support.driver", event, function, str(count), *map(str, arguments)]


def environment(checkpoints: str, **more: str) -> dict[str, str]:
    """Return the environment of the process."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "CHECKPOINTS": checkpoints, **more}


def trigger(event: str) -> None:
    """Send the signal to this process, or wait for one, unless ONLY_RANK excludes the process."""
    rank = os.environ.get("RANK", "0")
    if os.environ.get("ONLY_RANK", rank) != rank:
        return
    if event != "wait":
        os.kill(os.getpid(), signal.Signals[event])
        return
    handler = signal.getsignal(signal.SIGTERM)
    Path(f"waiting-{rank}").touch()
    while signal.getsignal(signal.SIGTERM) is handler:  # the engine restores the handler on a signal
        time.sleep(0.01)


def trigger_after(event: str, function: str, count: int) -> None:
    """Replace a function by one that triggers the event after its ``count``-th call."""
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
            trigger(event)
        return result

    setattr(owner, name, counted)


if __name__ == "__main__":
    often, never = -1.0, float("inf")
    checkpoints = os.environ["CHECKPOINTS"]
    engine.CHECKPOINT_SECONDS = often if checkpoints == "step" else never
    engine.EPOCH_CHECKPOINT_SECONDS = often if checkpoints == "epoch" else never
    trigger_after(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.argv[1:] = sys.argv[4:]
    main()
