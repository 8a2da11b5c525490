"""Data-parallel training: one process for each device, started by torchrun."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """Processes that train together; by default a group of one process."""

    rank: int = 0
    """Number of this process, from 0."""
    size: int = 1
    """Number of processes."""

    @property
    def leads(self) -> bool:
        """Whether this process is the leader, the only one that writes and prints."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """Wrap a model so that its gradients are averaged over the group."""
        return model if self.size == 1 else DistributedDataParallel(model)

    def share(self, rows: Tensor) -> tuple[Tensor, float]:
        """Select the rows of a batch that this process computes.

        DistributedDataParallel averages the gradients of all processes with equal weights, whatever the sizes of their
        parts; the weight of the loss turns that average into the mean over the whole batch. A process without rows
        takes one row at weight 0, since every process must take part in every step.

        Args:
            rows: (batch,) row numbers of the whole batch.

        Returns:
            The row numbers of this process, and the weight of its mean loss.
        """
        if self.size == 1:
            return rows, 1.0
        part = rows.tensor_split(self.size)[self.rank]
        if len(part) == 0:
            return rows[:1], 0.0
        return part, len(part) * self.size / len(rows)

    def total(self, value: Tensor) -> Tensor:
        """Average a weighted loss over the group, in place, which gives the mean loss of the whole batch."""
        if self.size > 1:
            dist.all_reduce(value)
            value /= self.size
        return value

    def largest(self, *numbers: int) -> tuple[int, ...]:
        """Return the maximum over the group for each number, so that all processes stop if one received a signal."""
        if self.size == 1:
            return numbers
        values = torch.tensor(numbers)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return tuple(values.tolist())

    def from_leader(self, make: Callable[[], T]) -> T:
        """Call ``make`` on the leader, and return its result, or raise its exception, on every process.

        The exception is raised everywhere so that no process waits for one that has failed.
        """
        if self.size == 1:
            return make()
        box: list[T | Exception | None] = [None]
        if self.leads:
            try:
                box[0] = make()
            except Exception as error:
                box[0] = error
        dist.broadcast_object_list(box)
        if isinstance(box[0], Exception):
            raise box[0]
        return cast("T", box[0])


def local_rank_and_size() -> tuple[int, int]:
    """Return the number of this process on this machine, from 0, and the number of its processes on the machine."""
    return int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


@contextmanager
def process_group() -> Iterator[Group]:
    """Join the group in which torchrun started this process, or yield a group of one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group()
        return
    # gloo transfers CPU tensors (signals, metrics), NCCL the gradients of GPUs.
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Group(dist.get_rank(), size)
    finally:
        # Uncollected garbage may keep threads of the group alive, and they abort the process at exit (torch 2.13: one
        # exit in ten).
        gc.collect()
        dist.destroy_process_group()
