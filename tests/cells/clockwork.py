"""The clockwork network: two timescales, controlled by a counter of the steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class ClockworkCell(zoo.Cell):
    """A clockwork network of two modules (Koutnik et al. 2014, arXiv:1402.3511): the slow one changes at every
    ``period``-th step, from the first on, and the fast one, which reads the slow one, at each::

        slow' = tanh(W_s x + U_s slow) where t mod period = 0, else slow
        fast' = tanh(W_f x + U_f [fast, slow])

    State: fast (batch, hidden_size), slow (batch, slow_size), the number t of steps so far (batch, 1), int64. Output:
    [fast', slow'].
    """

    name = "clockwork"
    state_names = ("fast", "slow", "t")

    class Config(zoo.CellConfig):
        slow_size: zoo.Size = 4
        period: zoo.Size = 3
        """Steps from one change of the slow module to the next."""

    def __init__(self, input_size: int, config: Config) -> None:
        fast, slow = config.hidden_size, config.slow_size
        super().__init__(input_size, state_sizes=(fast, slow, 1), output_size=fast + slow)
        self.period = config.period
        self.x2h = nn.Linear(input_size, fast + slow)
        self.h2fast = nn.Linear(fast + slow, fast, bias=False)
        self.slow2slow = nn.Linear(slow, slow, bias=False)

    def initial_state(self, batch: int, like: Tensor) -> zoo.State:
        fast, slow, t = super().initial_state(batch, like)
        return fast, slow, t.long()

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        fast, slow, t = state
        x_fast, x_slow = x.split([fast.shape[1], slow.shape[1]], 1)
        fast = torch.tanh(x_fast + self.h2fast(torch.cat([fast, slow], 1)))
        slow = torch.where(t % self.period == 0, torch.tanh(x_slow + self.slow2slow(slow)), slow)
        return torch.cat([fast, slow], 1), (fast, slow, t + 1)
