"""Data-parallel training: one process a device, started by torchrun."""

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
    """The processes that train together; one process alone is a group too."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over the group."""
        return model if self.size == 1 else DistributedDataParallel(model)

    def share(self, rows: Tensor) -> tuple[Tensor, float]:
        """This process's part of a batch, and the weight of its mean loss.

        DistributedDataParallel averages the gradients of all processes alike, whatever the size of their parts; the
        weights make that average the mean over the whole batch. A process without a part takes one row at weight 0,
        since every process must take part in every step.
        """
        if self.size == 1:
            return rows, 1.0
        part = rows.tensor_split(self.size)[self.rank]
        if len(part) == 0:
            return rows[:1], 0.0
        return part, len(part) * self.size / len(rows)

    def total(self, value: Tensor) -> Tensor:
        """The mean over the group of a weighted loss, which is the loss of the whole batch. Works in place."""
        if self.size > 1:
            dist.all_reduce(value)
            value /= self.size
        return value

    def largest(self, *numbers: int) -> tuple[int, ...]:
        """For each number the largest of all processes: how they learn that one wants to stop, and stop together."""
        if self.size == 1:
            return numbers
        values = torch.tensor(numbers)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return tuple(values.tolist())

    def from_leader(self, make: Callable[[], T]) -> T:
        """What ``make`` returns or raises on the leader, on every process: none is left waiting for one that failed."""
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
    """The number of this process among those that torchrun started on this machine, and how many they are."""
    return int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


@contextmanager
def process_group() -> Iterator[Group]:
    """The group that torchrun started this process in, or a group of one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group()
        return
    # gloo carries what is exchanged on the CPU (signals, metrics), NCCL the gradients of GPUs.
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Group(dist.get_rank(), size)
    finally:
        # What still waits for the garbage collector may keep the group's threads alive, and they abort the process when
        # it ends (torch 2.13: one end in ten).
        gc.collect()
        dist.destroy_process_group()
