"""Modules that read tokens: language models, sessions of a shop, pairs of texts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

TOKENS, HIDDEN = 20, 8


class CharModel(nn.Module):
    """Next characters at each step; embedding and head share a weight, and the state goes in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, HIDDEN)
        self.rnn = nn.LSTM(HIDDEN, HIDDEN, 2, dropout=0.2, batch_first=True)
        self.head = nn.Linear(HIDDEN, TOKENS)
        self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        outputs, state = self.rnn(self.embedding(ids), state)
        return self.head(outputs), state


class SessionRecommender(nn.Module):
    """Scores of all items after each click of a session, by the items' embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(TOKENS, HIDDEN, padding_idx=0)
        self.rnn = nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.out = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, clicks: Tensor) -> Tensor:
        outputs, _ = self.rnn(self.items(clicks))
        return torch.tanh(self.out(outputs)) @ self.items.weight.T


class MaskedPooling(nn.Module):
    """Attention over the valid steps of padded texts, whose lengths give the mask; nothing is packed."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, HIDDEN)
        self.rnn = nn.LSTM(HIDDEN, HIDDEN, batch_first=True)
        self.key, self.query = nn.Linear(HIDDEN, HIDDEN), nn.Parameter(torch.randn(HIDDEN))
        self.head = nn.Linear(HIDDEN, 3)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        outputs, _ = self.rnn(self.embedding(ids))
        scores = torch.tanh(self.key(outputs)) @ self.query
        valid = torch.arange(ids.size(1), device=ids.device) < lengths[:, None]
        weights = scores.masked_fill(~valid, float("-inf")).softmax(1)
        logits: Tensor = self.head(torch.einsum("bt,btn->bn", weights, outputs))
        return logits


class Siamese(nn.Module):
    """One biLSTM reads two padded texts; the distance of their means over valid steps decides."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, HIDDEN)
        self.rnn = nn.LSTM(HIDDEN, HIDDEN, batch_first=True, bidirectional=True)

    def encode(self, ids: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return outputs.sum(1) / lengths[:, None]

    def forward(self, left: Tensor, left_lengths: Tensor, right: Tensor, right_lengths: Tensor) -> Tensor:
        distance = self.encode(left, left_lengths) - self.encode(right, right_lengths)
        return torch.exp(-distance.abs().sum(1))


class LastOfPacked(nn.Module):
    """Classifier of packed texts by the last state of each direction; the lengths are sorted and undone in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, HIDDEN)
        self.rnn = nn.GRU(HIDDEN, HIDDEN, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, 2)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        ordered, order = lengths.sort(descending=True)
        _, final = self.rnn(pack_padded_sequence(self.embedding(ids[order]), ordered, batch_first=True))
        logits: Tensor = self.head(torch.cat([final[0], final[1]], 1))
        return logits[order.argsort()]
