"""Artificial cells, each with an unusual step that a lowering could translate wrongly."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

import zoo


class OddCell(zoo.Cell):
    """Base of these cells: two states h and c, as wide as the output, and a projection to four times that width."""

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden, hidden), output_size=hidden)
        self.x2h = nn.Linear(input_size, 4 * hidden)
        self.h2h = nn.Linear(hidden, 4 * hidden)

    def project(self, x: Tensor) -> Tensor:
        projected: Tensor = self.x2h(x)
        return projected


class InputTwice(OddCell):
    """The input is added to the product and also read separately."""

    name = "input_twice"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        a, b, _, _ = (x + self.h2h(h)).chunk(4, 1)
        h = torch.tanh(a + x.chunk(4, 1)[3])
        return h, (h, torch.sigmoid(b) * c + h)


class ProductTwice(OddCell):
    """The product is split into gates and also read as a whole."""

    name = "product_twice"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        product = x + self.h2h(h)
        a, b, _, _ = product.chunk(4, 1)
        h = torch.tanh(a + product.mean(1, keepdim=True))
        return h, (h, torch.sigmoid(b) * c)


class Swap(OddCell):
    """One state becomes the other unchanged, and the output is neither of them."""

    name = "swap"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        output = torch.tanh(x.chunk(4, 1)[0] + 0.5 * h)
        return output, (c, torch.tanh(output + h))


class Echo(OddCell):
    """The output is the state before the step, so that it is one step late."""

    name = "echo"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        return h, (torch.tanh(x.chunk(4, 1)[1] + self.h2h(c).chunk(4, 1)[2]), h)


class Stateless(OddCell):
    """The output is a part of the input; the states never change."""

    name = "stateless"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        return x.chunk(4, 1)[3], state


class UnevenGates(OddCell):
    """Gates of different widths, a slice of a weight, and a broadcast of a narrow gate."""

    name = "uneven_gates"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        hidden = h.shape[1]
        narrow, wide, rest = (x + self.h2h(h)).split([1, hidden, 3 * hidden - 1], 1)
        extra = nn.functional.linear(c, self.h2h.weight[:hidden], self.h2h.bias[:hidden])
        h = torch.tanh(wide + torch.sigmoid(narrow) * extra + rest[:, :1])
        return h, (h, (c + h) / 2)


class NoBias(OddCell):
    """Products without a bias, scaled before the addition."""

    name = "no_bias"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        a, b, _, _ = (x + nn.functional.linear(h, self.h2h.weight)).chunk(4, 1)
        scaled = torch.addmm(a, c, self.h2h.weight[: c.shape[1]], beta=0.5, alpha=0.25)
        h = torch.tanh(scaled)
        return h, (h, torch.tanh(b))


class Constant(OddCell):
    """A table that is no parameter, weights computed from weights, and a product of two gates."""

    name = "constant"
    decay: Tensor

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, config)
        self.table = torch.linspace(-1, 1, config.hidden_size)
        self.register_buffer("decay", torch.full((config.hidden_size,), 0.9))

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        weight = torch.nn.functional.normalize(self.h2h.weight, dim=1)
        a, b, _, d = (x + nn.functional.linear(h, weight, 2 * self.h2h.bias)).chunk(4, 1)
        table = self.table.to(h.dtype)
        h = torch.tanh(a * d + table)
        return h, (h, self.decay * c + torch.sigmoid(b) * table)


class ConstantProduct(OddCell):
    """A product of parameters only, with one row, is added to the input of every sequence."""

    name = "constant_product"

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, config)
        self.vector = nn.Parameter(torch.linspace(-1, 1, config.hidden_size)[None])

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        a, b, _, _ = (x + self.h2h(self.vector)).chunk(4, 1)
        h = torch.tanh(a + h)
        return h, (h, torch.sigmoid(b) * c + h)


ODD_CELLS: Mapping[str, type[zoo.Cell]] = {
    cell.name: cell
    for cell in (InputTwice, ProductTwice, Swap, Echo, Stateless, UnevenGates, NoBias, Constant, ConstantProduct)
}
"""The cells by name."""
