"""Cells that break the contract of `zoo.Cell`, each in another way; the faulty line ends with ``# HERE``."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import zoo
from tests.support.untraceable import PlainCell

Step = tuple[Tensor, zoo.State]


class BareState(PlainCell):
    name = "bare_state"

    def step(self, x: Tensor, state: zoo.State) -> Any:  # HERE
        h = torch.tanh(self.total(x, state))
        return h, h


class LoneOutput(PlainCell):
    name = "lone_output"

    def step(self, x: Tensor, state: zoo.State) -> Any:  # HERE
        return torch.tanh(self.total(x, state))


class RandomMask(PlainCell):
    name = "random_mask"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, state))
        h = h * (torch.rand_like(h) > 0.5)
        return h, (h,)


class PythonsRandom(PlainCell):
    name = "pythons_random"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, state)) * random.random()
        return h, (h,)


class Counter(PlainCell):
    name = "counter"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, config)
        self.count = 0

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        self.count += 1
        h = torch.tanh(self.total(x, state)) / self.count
        return h, (h,)


class ResetCounter(Counter):
    """The counter restarts with each sequence, so that whole sequences always give the same result."""

    name = "reset_counter"

    def initial_state(self, batch: int, like: Tensor) -> zoo.State:
        self.count = 0
        return super().initial_state(batch, like)

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        return super().step(x, state)


class BufferCounter(PlainCell):
    """The counter has no effect on the result, but each step writes to it."""

    name = "buffer_counter"
    count: Tensor

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, config)
        self.register_buffer("count", torch.zeros(()))

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        self.count += 1
        h = torch.tanh(self.total(x, state))
        return h, (h,)


class Memory(PlainCell):
    name = "memory"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, config)
        self.last: Tensor | None = None

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, state))
        if self.last is not None and self.last.shape == h.shape:
            h = h + self.last
        self.last = h
        return h, (h,)


class MeanOverTime(PlainCell):
    """The projection stores a mean over all steps on the cell, and `step` reads it."""

    name = "mean_over_time"

    def project(self, x: Tensor) -> Tensor:
        projected = super().project(x)
        self.mean = projected.mean((0, 1))
        return projected

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, state) + self.mean)
        return h, (h,)


class Steps(PlainCell):
    """Base of the cells with a wrong projection: a correct step."""

    name = "steps"

    def step(self, x: Tensor, state: zoo.State) -> Step:
        h = torch.tanh(self.total(x, state))
        return h, (h,)


class NoisyProjection(Steps):
    name = "noisy_projection"

    def project(self, x: Tensor) -> Tensor:  # HERE
        return super().project(x) + torch.randn(())


class CountsSteps(Steps):
    name = "counts_steps"

    def project(self, x: Tensor) -> Tensor:  # HERE
        return super().project(x) / len(x)


class LooksBack(Steps):
    name = "looks_back"

    def project(self, x: Tensor) -> Tensor:  # HERE
        before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
        return super().project(x + before)


class LooksAhead(Steps):
    name = "looks_ahead"

    def project(self, x: Tensor) -> Tensor:  # HERE
        after = torch.cat([x[1:], torch.zeros_like(x[:1])])
        return super().project(x + after)


class Squeezed(Steps):
    name = "squeezed"

    def project(self, x: Tensor) -> Tensor:  # HERE
        return super().project(x).squeeze()


class InPlaceInput(PlainCell):
    name = "in_place_input"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        x += self.h2h(state[0])
        h = torch.tanh(x)
        return h, (h,)


class InPlaceProjection(Steps):
    name = "in_place_projection"

    def project(self, x: Tensor) -> Tensor:  # HERE
        return super().project(x.mul_(2))


class InPlaceState(PlainCell):
    name = "in_place_state"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        (h,) = state
        h.mul_(0.5).add_(torch.tanh(x))
        return h, (h,)


class ExtraState(PlainCell):
    name = "extra_state"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, state))
        return h, (h, h)


class GrowingState(PlainCell):
    name = "growing_state"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, state))
        return h, (torch.cat([h, state[0]], 1),)


class BroadcastState(PlainCell):
    name = "broadcast_state"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, state))
        return h, (h[:1],)


class BatchMean(PlainCell):
    name = "batch_mean"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, state))
        h = h - h.mean(0)
        return h, (h,)


class BatchNorm(Steps):
    name = "batch_norm"

    def project(self, x: Tensor) -> Tensor:  # HERE
        projected = super().project(x)
        size: Tensor = projected.norm()
        return projected / size


class BatchSizedStart(Steps):
    name = "batch_sized_start"

    def initial_state(self, batch: int, like: Tensor) -> zoo.State:  # HERE
        return (super().initial_state(batch, like)[0] + 1 / batch,)


class UnequalStart(Steps):
    name = "unequal_start"

    def initial_state(self, batch: int, like: Tensor) -> zoo.State:  # HERE
        return (torch.arange(batch).to(like)[:, None].expand(batch, self.state_sizes[0]),)


class OneRow(Steps):
    name = "one_row"

    def initial_state(self, batch: int, like: Tensor) -> zoo.State:  # HERE
        return (like.new_zeros(1, self.state_sizes[0]),)


class Float32Constant(PlainCell):
    name = "float32_constant"

    def step(self, x: Tensor, state: zoo.State) -> Step:
        h = torch.tanh(self.total(x, state))
        h = h @ torch.eye(h.shape[1], dtype=torch.float32)  # HERE
        return h, (h,)


class Float32Start(Steps):
    name = "float32_start"

    def initial_state(self, batch: int, like: Tensor) -> zoo.State:  # HERE
        return (torch.zeros(batch, self.state_sizes[0], dtype=torch.float32),)


class PlainTensor(PlainCell):
    name = "plain_tensor"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, config)
        self.table = torch.eye(config.hidden_size)

    def step(self, x: Tensor, state: zoo.State) -> Step:
        h = torch.tanh(self.total(x, state)) @ self.table  # HERE
        return h, (h,)


class Through32(PlainCell):
    name = "through_32"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        total = nn.functional.linear(state[0].float(), self.h2h.weight.float()).to(x.dtype)
        h = torch.tanh(x + total) + 1e-7 * (len(x) > 1)
        return h, (h,)


class WrongWidth(PlainCell):
    name = "wrong_width"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, state))
        return h[:, 1:], (h,)


class OtherState(PlainCell):
    name = "other_state"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, tuple(part.to(x.dtype) for part in state)))
        return h, (h.double() if h.dtype == torch.float32 else h.float(),)


class OtherOutput(PlainCell):
    name = "other_output"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, state))
        return (h > 0).long(), (h,)


class Lost(PlainCell):
    name = "lost"

    def step(self, x: Tensor, state: zoo.State) -> Step:
        raise KeyError("a mistake")  # HERE


class OtherKernel(Steps):
    name = "other_kernel"

    def kernel(self) -> zoo.Kernel:  # HERE
        return zoo.Kernel(
            nn.RNN, self.x2h.weight, self.h2h.weight, self.x2h.bias, self.h2h.bias, {"nonlinearity": "relu"}
        )


class WatchesInALoop(PlainCell):
    name = "watches_in_a_loop"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = self.total(x, state)
        for _ in range(3):
            h = self.watch("f", torch.tanh(h))
        return h, (h,)


class WatchesAState(PlainCell):
    name = "watches_a_state"
    state_names = ("h",)

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = self.watch("h", torch.tanh(self.total(x, state)))
        return h, (h,)


class WatchesANumber(PlainCell):
    """The value is one number for the whole batch."""

    name = "watches_a_number"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, state))
        self.watch("largest", h.amax())
        return h, (h,)


class WatchesUnnamed(PlainCell):
    name = "watches_unnamed"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = self.watch(0, torch.tanh(self.total(x, state)))  # type: ignore[arg-type]
        return h, (h,)


class WatchesNow(PlainCell):
    """The name depends on the values, so that it differs from step to step."""

    name = "watches_now"

    def step(self, x: Tensor, state: zoo.State) -> Step:  # HERE
        h = torch.tanh(self.total(x, state))
        return self.watch("first" if state[0].abs().sum() == 0 else "later", h), (h,)


class WatchesTheProjection(PlainCell):
    name = "watches_the_projection"

    def project(self, x: Tensor) -> Tensor:  # HERE
        return self.watch("x", super().project(x))

    def step(self, x: Tensor, state: zoo.State) -> Step:
        h = torch.tanh(self.total(x, state))
        return h, (h,)


WRONG: Mapping[str, tuple[type[PlainCell], str]] = {
    cell.name: (cell, text)
    for cell, text in (
        (BareState, "step gives a tensor (7, 5) as the state; expected a tuple of 1 tensor; likely (h,) was meant"),
        (LoneOutput, "step gives a tensor (7, 5); expected the output and the state: 'return h, (h,)'"),
        (RandomMask, "step gives two results for the same input and state; expected the same bits;"),
        (PythonsRandom, "step gives two results for the same input and state; expected the same bits; likely random"),
        (NoisyProjection, "project gives two results for the same input and state; expected the same"),
        (Counter, "step changes the cell's 'count' from 4 to 8; expected every value that changes"),
        (ResetCounter, "step changes the cell's 'count' from 4 to 8; expected every value that"),
        (BufferCounter, "step writes to the cell's 'count' in inference mode; expected"),
        (Memory, "step gives two results for the same input and state; expected the same bits;"),
        (MeanOverTime, "step gives another result after another call of project; expected it to depend on x and"),
        (CountsSteps, "project gives another result for 1 step of 4 than for all at once; expected"),
        (LooksBack, "project gives another result for 1 step of 4 than for all at once; expected"),
        (LooksAhead, "project gives another result for 1 step of 4 than for all at once; expected"),
        (Squeezed, "project gives a tensor (7, 5) for 1 step of a batch of 7; expected (1, 7, any)"),
        (InPlaceInput, "step changes its input in place; expected no change"),
        (InPlaceProjection, "project changes its input in place; expected no change"),
        (InPlaceState, "step changes its state 0 in place; expected no change"),
        (ExtraState, "step gives a state of 2 tensors; expected 1 tensor, as state_sizes has"),
        (GrowingState, "step gives a tensor (7, 10) as state 0 of a batch of 7; expected (7, 5):"),
        (BroadcastState, "step gives a tensor (1, 5) as state 0 of a batch of 7; expected (7, 5)"),
        (BatchMean, "step gives another result for a sequence alone than in a batch of 7; expected independent rows"),
        (BatchNorm, "project gives another result for"),
        (BatchSizedStart, "initial_state gives other values for another sequence or another batch size; expected"),
        (UnequalStart, "initial_state gives other values for another sequence or another batch size; expected"),
        (OneRow, "initial_state gives a tensor (1, 5) as state 0 of a batch of 7; expected (7, 5)"),
        (Float32Constant, "step fails in float64, in which every proof is made: RuntimeError: "),
        (Float32Start, "initial_state gives state 0 as float32 in float64, in which every proof is"),
        (PlainTensor, "step fails in float64, in which every proof is made: RuntimeError: "),
        (Through32, "step gives another result for a sequence alone than in a batch of 7; expected independent rows"),
        (WrongWidth, "step gives a tensor (7, 4) as the output of a batch of 7; expected (7, 5):"),
        (OtherState, "step gives state 0 as float64; expected float32, as x has it"),
        (OtherOutput, "step gives the output as int64; expected float32, as x has it"),
        (Lost, "step fails: KeyError: 'a mistake'"),
        (WatchesInALoop, "step watches 'f' 3 times in one step; expected once; likely a loop: give each round"),
        (WatchesAState, "step watches 'h', the name of a state; expected another name"),
        (WatchesANumber, "step watches a tensor () as 'largest' of a batch of 7; expected (7, n)"),
        (WatchesUnnamed, "step watches a value under the name 0; expected a short text, such as 'f'"),
        (WatchesNow, "step watches ['later'] after ['first']; expected the same names at each step"),
        (WatchesTheProjection, "project watches 'x'; expected values of one step only: watch it in step"),
        (OtherKernel, "kernel computes a different network than the cell's own step; expected the same numbers"),
    )
}  # fmt: skip
"""By name: the cell, and the beginning of the message after the cell's name."""

MISTAKES = {
    "random_mask": "draw them in training only ('if self.training')",
    "counter": "likely a counter, which a graph cannot keep",
    "mean_over_time": "likely a value that project stores on the cell: return it from project",
    "counts_steps": "likely it counts the steps (as in a division by len(x)), and a stream has any number of them",
    "looks_back": "likely it reads earlier steps: put what must be remembered into the state",
    "looks_ahead": "likely it reads later steps, or all of them (as in a mean over time)",
    "batch_mean": "likely a mean, a norm, a softmax or a branch over the whole batch",
    "float32_constant": "register it as a buffer, or make it with x.dtype or x.new_zeros",
    "float32_start": "register it as a buffer, or make it with x.dtype or x.new_zeros",
    "plain_tensor": "register it as a buffer, or make it with x.dtype or x.new_zeros",
    "through_32": "likely it computes in float32, whatever x is",
}
"""By name, the likely mistake in the message."""


class DrawnMask(PlainCell):
    """A mask that is drawn in the constructor and is not in the state_dict."""

    name = "drawn_mask"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:  # HERE
        super().__init__(input_size, config)
        self.mask = torch.from_numpy(np.random.default_rng().integers(0, 2, config.hidden_size)).float()

    def step(self, x: Tensor, state: zoo.State) -> Step:
        h = torch.tanh(self.total(x, state)) * self.mask.to(x.dtype)
        return h, (h,)


class LooksAtNumbers(Steps):
    """Correct, but cannot be created on the device ``meta``: it calls ``.item()`` and mixes devices."""

    name = "looks_at_numbers"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, config)
        self.gain = 1 + torch.rand(3).max().item()
        with torch.no_grad():
            self.h2h.weight.mul_(torch.full((1,), self.gain, device="cpu"))


@cache
def _table(size: int) -> Tensor:
    return torch.eye(size)


class Caches(Steps):
    """Correct, with a table that is created once in a process."""

    name = "caches"
    table: Tensor

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, config)
        self.register_buffer("table", _table(config.hidden_size))

    def step(self, x: Tensor, state: zoo.State) -> Step:
        h = torch.tanh(self.total(x, state)) @ self.table
        return h, (h,)


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [*(cell for cell, _ in WRONG.values()), DrawnMask, LooksAtNumbers, Caches]
