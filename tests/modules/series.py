"""Modules that read numbers over time: forecasts, control, reconstruction."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FEATURES, HIDDEN = 6, 8


class Normalised(nn.Module):
    """LSTMs of falling width, with layer norm and dropout between."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LSTM(FEATURES, 12, batch_first=True), nn.LSTM(12, HIDDEN, batch_first=True)
        self.norms = nn.ModuleList([nn.LayerNorm(12), nn.LayerNorm(HIDDEN)])
        self.dropout = nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        for rnn, norm in zip((self.first, self.second), self.norms, strict=True):
            x = self.dropout(norm(rnn(x)[0]))
        return x.mean(1)


class Forecaster(nn.Module):
    """Mean and scale of the next value of each series, scaled by its own level, with an embedding of its category."""

    def __init__(self) -> None:
        super().__init__()
        self.category = nn.Embedding(5, 3)
        self.rnn = nn.LSTM(1 + 3, HIDDEN, 2, batch_first=True)
        self.mean, self.scale = nn.Linear(HIDDEN, 1), nn.Linear(HIDDEN, 1)

    def forward(self, series: Tensor, category: Tensor) -> tuple[Tensor, Tensor]:
        level = 1 + series.abs().mean(1, keepdim=True)
        constant = self.category(category)[:, None].expand(-1, series.size(1), -1)
        outputs, _ = self.rnn(torch.cat([(series / level)[:, :, None], constant], 2))
        scale = nn.functional.softplus(self.scale(outputs)).squeeze(2)
        return self.mean(outputs).squeeze(2) * level, scale * level


class Autoencoder(nn.Module):
    """A sequence through the last state of an LSTM, repeated at each step of a second one, and its largest error."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(FEATURES, HIDDEN, batch_first=True)
        self.decoder = nn.LSTM(HIDDEN, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, FEATURES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        _, (code, _) = self.encoder(x)
        outputs, _ = self.decoder(code[-1].unsqueeze(1).repeat(1, x.size(1), 1))
        rebuilt = self.head(outputs)
        return rebuilt, (rebuilt - x).square().mean(2).amax(1)


class Projected(nn.Module):
    """Bidirectional LSTM with projections, and its states."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(FEATURES, HIDDEN, 2, proj_size=4, bidirectional=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outputs, (h, c) = self.rnn(x)
        return outputs, h, c


class Relu(nn.Module):
    """RNN with relu and recurrent weights near half an identity, whose last step is read."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(FEATURES, HIDDEN, nonlinearity="relu", batch_first=True)
        self.rnn.weight_hh_l0 = nn.Parameter(torch.eye(HIDDEN) / 2 + torch.randn(HIDDEN, HIDDEN) / 20)
        self.head = nn.Linear(HIDDEN, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.rnn(x)[0][:, -1])
        return logits


class OneSequence(nn.Module):
    """LSTM over one sequence without a batch axis, time first."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(FEATURES, HIDDEN)
        self.head = nn.Linear(HIDDEN, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        outputs, (h, _) = self.rnn(x)
        return self.head(outputs), h


class SelfAttention(nn.Module):
    """Multi-head attention over the outputs of a GRU, added to them."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(FEATURES, HIDDEN, batch_first=True)
        self.attention = nn.MultiheadAttention(HIDDEN, 2, batch_first=True)
        self.norm = nn.LayerNorm(HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.rnn(x)
        mixed, _ = self.attention(outputs, outputs, outputs, need_weights=False)
        return self.norm(outputs + mixed)  # type: ignore[no-any-return]


class Highway(nn.Module):
    """GRU in both directions beside the input, mixed by a gate that reads both."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(FEATURES, FEATURES, batch_first=True, bidirectional=True)
        self.merge, self.gate = nn.Linear(2 * FEATURES, FEATURES), nn.Linear(3 * FEATURES, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.rnn(x)
        gate = torch.sigmoid(self.gate(torch.cat([x, outputs], 2)))
        return gate * torch.tanh(self.merge(outputs)) + (1 - gate) * x
