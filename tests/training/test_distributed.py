"""Training in two processes: the same result as in one process, and output from the leader only."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.support.command import Outcome, run_zoo
from tests.support.driver import STEP, command, environment
from zoo.errors import UsageError
from zoo.jobs.build import pick_device
from zoo.sealed import load_sealed
from zoo.training.distributed import Group
from zoo.training.engine import Engine

ONE_THREAD = {"OMP_NUM_THREADS": "1"}

SPEC = """
data: {name: digits}
architecture: {name: gru, hidden_size: 12, num_layers: 2}
task: {name: classification}
training:
  epochs: 6
  batch_size: 359
  optimizer: {name: adamw, lr: 0.02}
  schedule: {name: one_cycle}
  clip_norm: 1.0
"""
"""1,078 rows in batches of 359, which give two processes unequal parts, and a last batch of a single row."""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "small.yaml"
    path.write_text(SPEC)
    return path


def torchrun(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start two processes, whose output goes to files under ``folder/logs``."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    logs = ["--log-dir", str(folder / "logs"), "--redirects", "3"]
    return subprocess.Popen(
        [sys.executable, *launcher, *logs, *arguments],
        cwd=folder,
        env=environment("never", **ONE_THREAD),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def printed(folder: Path, rank: int) -> tuple[str, str]:
    """Return the stdout and the stderr of a process."""
    (place,) = (folder / "logs").glob(f"*/attempt_0/{rank}")
    return (place / "stdout.log").read_text(), (place / "stderr.log").read_text()


@pytest.fixture(scope="module")
def two(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train in two processes; return the folder, which holds the run as ``run``."""
    folder = tmp_path_factory.mktemp("two")
    process = torchrun(folder, "-m", "zoo", "build", str(spec), "--out", str(folder / "run"), "--device", "cpu")
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    return folder


def build_alone(spec: Path, run: Path) -> Path:
    """Train in one process."""
    outcome = run_zoo("build", spec, "--out", run, "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    return run


def results(run: Path) -> dict[str, Tensor]:
    """Return the weights, and the losses of all epochs."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [[record["train_loss"], record["validation"]["loss"]] for record in records]
    return {**load_sealed(run / "model.safetensors")[0], "losses": torch.tensor(losses)}


def shuffled(seed: int) -> Callable[..., Tensor]:
    """Return an engine's step that takes the rows of its batch in another order."""
    original, generator = Engine._step, torch.Generator().manual_seed(seed)

    def step(engine: Engine, wrapped: nn.Module, rows: Tensor, weight: float) -> Tensor:
        return original(engine, wrapped, rows[torch.randperm(len(rows), generator=generator)], weight)

    return step


def mean_of_means(_: object, scores: Tensor, target: Tensor) -> Tensor:
    """Return the loss of two processes that do not weight their parts by size."""
    parts = zip(scores.tensor_split(2), target.tensor_split(2), strict=True)
    return torch.stack([nn.functional.cross_entropy(*part) for part in parts if len(part[0])]).mean()


def share_of_budget(actual: dict[str, Tensor], expected: dict[str, Tensor], others: list[dict[str, Tensor]]) -> float:
    """Return the largest error of any tensor, relative to its budget.

    The budget is that of a parity proof (Monte Carlo arithmetic, Parker 1997): 8 * S + 4 * eps * scale. S is the
    largest change of a tensor when the same training is repeated five times with different roundings. The rows of each
    batch in another order give them: only the order in which gradients are summed changes, as with a second process.
    """
    assert actual.keys() == expected.keys()
    shares = []
    for name, value in expected.items():
        assert actual[name].shape == value.shape
        spread = max(float((other[name] - value).abs().max()) for other in others)
        budget = 8 * spread + 4 * torch.finfo(torch.float32).eps * float(value.abs().max())
        shares.append(float((actual[name] - value).abs().max()) / budget)
    return max(shares)


def test_two_processes_give_the_result_of_one(
    two: Path, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = results(build_alone(spec, tmp_path / "alone"))
    others = []
    for seed in range(5):
        with monkeypatch.context() as patch:
            patch.setattr(Engine, "_step", shuffled(seed))
            others.append(results(build_alone(spec, tmp_path / str(seed))))
    assert share_of_budget(results(two / "run"), alone, others) <= 1

    with monkeypatch.context() as patch:
        patch.setattr("zoo.tasks.classification.Classification.loss", mean_of_means)
        wrong = results(build_alone(spec, tmp_path / "wrong"))
    assert share_of_budget(wrong, alone, others) > 100  # the most likely mistake does not pass


def test_two_processes_write_the_files_of_one(two: Path, spec: Path, tmp_path: Path) -> None:
    alone = build_alone(spec, tmp_path / "alone")
    assert {file.name for file in (two / "run").iterdir()} == {file.name for file in alone.iterdir()}
    assert (two / "run" / "spec.yaml").read_bytes() == (alone / "spec.yaml").read_bytes()


def test_only_the_leader_prints(two: Path) -> None:
    stdout, stderr = printed(two, 0)
    assert stdout.startswith(f"{two / 'run'}: test loss ")
    assert stdout.count("\n") == 1
    beginnings = [line.split(":")[0] for line in stderr.splitlines()]
    assert beginnings[beginnings.index(str(two / "run")) :] == [  # after what the data are
        str(two / "run"),
        *[f"epoch {epoch}/6" for epoch in range(1, 7)],
        "next",
    ]
    assert printed(two, 1) == ("", "")


def pair(folder: Path, *arguments: str, checkpoints: str = "never", **more: str) -> list[Outcome]:
    """Run two processes with the environment of torchrun, and return the outcome of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment(checkpoints, **ONE_THREAD, **place, RANK=str(rank), LOCAL_RANK=str(rank), **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outcomes = []
    for process in processes:
        stdout, stderr = process.communicate()
        outcomes.append(Outcome(process.returncode, stdout, stderr))
    return outcomes


@pytest.mark.parametrize(
    ("settings", "code", "line"),
    [
        (["--set", "training.epochs=none"], 3, "training.epochs: must be an integer"),
        (["--out", "taken"], 2, "error: taken: exists already"),
        (
            [
                *("--set", "architecture={name: rnn, hidden_size: 12, nonlinearity: relu}"),
                *("--set", "training.optimizer={name: sgd, lr: 1e+9}"),
                *("--set", "training.clip_norm=null"),
            ],
            1,
            "is not finite in epoch 1, step ",
        ),
    ],
    ids=["a bad spec", "wrong usage", "a loss that is not finite"],
)
def test_both_processes_fail_alike_and_the_leader_reports_it(
    tmp_path: Path, spec: Path, settings: list[str], code: int, line: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    leader, other = pair(tmp_path, "-m", "zoo", "build", str(spec), "--device", "cpu", *settings)
    assert (leader.exit_code, other.exit_code) == (code, code), leader.stderr + other.stderr
    assert line in leader.stderr.splitlines()[-1]
    assert leader.stderr.count("error:") == 1
    assert (other.stdout, other.stderr) == ("", "")


def test_a_signal_to_one_process_stops_both_at_one_step(tmp_path: Path, spec: Path) -> None:
    driver = command("SIGTERM", STEP, 9, "build", spec, "--out", "run", "--device", "cpu")
    leader, other = pair(tmp_path, *driver, ONLY_RANK="1")
    assert (leader.exit_code, other.exit_code) == (143, 143), leader.stderr + other.stderr
    assert leader.stderr.splitlines()[-1].startswith("error: stopped in epoch 3 after step 1 of 4; the state is saved")
    assert (other.stdout, other.stderr) == ("", "")
    assert [file.name for file in (tmp_path / "run" / "checkpoint").iterdir()] == ["step-0000000009.safetensors"]


@pytest.mark.slow
def test_two_processes_resume_from_the_checkpoint_after_a_signal_to_torchrun(
    tmp_path: Path, spec: Path, two: Path
) -> None:
    run = tmp_path / "run"
    process = torchrun(tmp_path, *command("wait", STEP, 9, "build", spec, "--out", run, "--device", "cpu"))
    while not all((tmp_path / f"waiting-{rank}").exists() for rank in range(2)):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode != 0
    assert [file.name for file in (run / "checkpoint").iterdir()] == ["step-0000000009.safetensors"]
    assert printed(tmp_path, 0)[1].splitlines()[-1].startswith("error: stopped in epoch 3 after step 1 of 4; ")
    shutil.rmtree(tmp_path / "logs")

    leader, other = pair(tmp_path, "-m", "zoo", "build", str(spec), "--out", str(run), "--device", "cpu", "--resume")
    assert (leader.exit_code, other.exit_code) == (0, 0), leader.stderr + other.stderr
    # Two processes with the same shares give the same bits as without the stop.
    assert (run / "model.safetensors").read_bytes() == (two / "run" / "model.safetensors").read_bytes()


def test_parts_cover_a_batch_and_their_weighted_means_make_its_mean() -> None:
    """The average over the group is that of DistributedDataParallel."""
    for size in range(1, 6):
        for count in range(1, 12):
            rows = torch.randperm(count, generator=torch.Generator().manual_seed(count))
            shares = [Group(rank, size).share(rows) for rank in range(size)]
            assert all(len(part) for part, _ in shares)  # every process has a row
            counted = torch.cat([part for part, weight in shares if weight])
            assert torch.equal(counted, rows)
            mean = sum(float(part.double().mean()) * weight for part, weight in shares) / size
            # A dozen operations in float64 on numbers up to ten.
            assert mean == pytest.approx((count - 1) / 2, rel=0, abs=10 * 12 * torch.finfo(torch.float64).eps)


def test_one_process_is_a_group() -> None:
    group, model, loss = Group(), nn.Linear(1, 1), torch.tensor(3.0)
    assert group.leads
    assert group.wrap(model) is model
    assert group.total(loss) is loss
    assert group.largest(3, 0) == (3, 0)
    assert group.from_leader(lambda: "result") == "result"


COLLECTIVE = textwrap.dedent("""
    import torch
    from zoo.training.distributed import process_group
    from zoo.errors import UsageError

    def refuse():
        raise UsageError("no")

    with process_group() as group:
        rank = group.rank
        print(group.size, group.leads, *group.largest(rank, 5 - rank, 0))
        print(float(group.total(torch.tensor(1.0 + rank))))
        print(group.from_leader(lambda: f"from {rank}"))
        try:
            group.from_leader(refuse)
        except UsageError as error:
            print("refused:", error)
""")


def test_collective_operations_of_a_group(tmp_path: Path) -> None:
    leader, other = pair(tmp_path, "-c", COLLECTIVE)
    assert leader.stdout.splitlines() == ["2 True 1 5 0", "1.5", "from 0", "refused: no"]
    assert other.stdout.splitlines() == ["2 False 1 5 0", "1.5", "from 0", "refused: no"]


def test_fewer_gpus_than_processes_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "LOCAL_RANK", "1")
    monkeypatch.setitem(os.environ, "LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="2 processes need a GPU each and there are 1; take the device cpu"):
        pick_device("auto")
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta"])
def test_an_unusable_device_is_reported(name: str) -> None:
    with pytest.raises(UsageError, match=f"device {name}: cannot be used here"):
        pick_device(name)
