"""Modules after well-known shapes, and arguments for any batch and number of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import zoo
from tests.cells.mgu import MGUCell
from tests.support.builders import make_stack
from zoo.nn.recurrent import DirectedStackConfig

TOKENS, FEATURES, HIDDEN = 20, 6, 8


class Attention(nn.Module):
    """Embedding, two-layer biLSTM, attention over the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, FEATURES)
        self.rnn = nn.LSTM(FEATURES, HIDDEN, 2, batch_first=True, bidirectional=True, dropout=0.1)
        self.score = nn.Linear(2 * HIDDEN, 1)
        self.head = nn.Linear(2 * HIDDEN, 3)

    def forward(self, ids: Tensor) -> Any:
        outputs, _ = self.rnn(self.embedding(ids))
        weights = torch.softmax(self.score(outputs), 1)
        return self.head((weights * outputs).sum(1))


class CRNN(nn.Module):
    """Convolutions over an image, whose columns are the steps of a biLSTM with classes at each."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.rnn = nn.LSTM(4 * 4, HIDDEN, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, 5)

    def forward(self, image: Tensor) -> Any:
        maps = self.convolution(image)
        batch, channels, height, width = maps.shape
        outputs, _ = self.rnn(maps.reshape(batch, channels * height, width).permute(2, 0, 1))
        return self.head(outputs).log_softmax(2)


class PackedAttention(nn.Module):
    """Encoder of packed sequences, attention over their valid steps."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, FEATURES, padding_idx=0)
        self.rnn = nn.GRU(FEATURES, HIDDEN, batch_first=True, bidirectional=True)
        self.score = nn.Linear(2 * HIDDEN, 1)

    def forward(self, ids: Tensor, lengths: Tensor) -> Any:
        packed = pack_padded_sequence(self.embedding(ids), lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, final = self.rnn(packed)
        outputs, lengths = pad_packed_sequence(outputs, batch_first=True)
        mask = torch.arange(outputs.size(1))[None] < lengths[:, None]
        weights = torch.softmax(self.score(outputs).squeeze(2).masked_fill(~mask, float("-inf")), 1)
        return (weights[:, :, None] * outputs).sum(1), final, outputs, lengths


class Sequence2Sequence(nn.Module):
    """Encoder and decoder with teacher forcing; the lengths of source and target differ."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, FEATURES)
        self.encoder = nn.LSTM(FEATURES, HIDDEN, batch_first=True)
        self.decoder = nn.LSTM(FEATURES, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, TOKENS)

    def forward(self, source: Tensor, target: Tensor) -> Any:
        _, state = self.encoder(self.embedding(source))
        outputs, _ = self.decoder(self.embedding(target), state)
        return self.head(outputs)


class Policy(nn.Module):
    """Recurrent policy with the state in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(FEATURES, HIDDEN, 2)
        self.action, self.value = nn.Linear(HIDDEN, 2), nn.Linear(HIDDEN, 1)

    def forward(self, observation: Tensor, state: tuple[Tensor, Tensor]) -> Any:
        outputs, state = self.rnn(observation, state)
        return {"logits": self.action(outputs), "value": self.value(outputs).squeeze(-1), "next": state}


class VoiceActivity(nn.Module):
    """Convolution with a stride, LSTM with the state in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(3, FEATURES, 3, stride=2, padding=1)
        self.rnn = nn.LSTM(FEATURES, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Any:
        outputs, (h, c) = self.rnn(torch.relu(self.convolution(x)).transpose(1, 2), (h, c))
        return torch.sigmoid(self.head(outputs)), h, c


class Residual(nn.Module):
    """GRUs around which the input is added, with layer norm between."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.GRU(FEATURES, FEATURES, batch_first=True) for _ in range(3))
        self.norm = nn.LayerNorm(FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.norm(x + layer(x)[0])
        return x


class WeightNormed(nn.Module):
    """LSTM and head with weights that are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = weight_norm(nn.LSTM(FEATURES, HIDDEN, batch_first=True), "weight_hh_l0")
        self.head = weight_norm(nn.Linear(HIDDEN, 2))

    def forward(self, x: Tensor) -> Any:
        return self.head(self.rnn(x)[0])


class Summed(nn.Module):
    """Both directions summed, then an LSTM with a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(FEATURES, HIDDEN, batch_first=True, bidirectional=True)
        self.projected = nn.LSTM(HIDDEN, HIDDEN, proj_size=4, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        outputs, _ = self.rnn(x)
        outputs = outputs.view(*outputs.shape[:2], 2, HIDDEN).sum(2)
        return self.projected(outputs)


class Towers(nn.Module):
    """One GRU reads a query and a document; their last states are compared."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, FEATURES)
        self.rnn = nn.GRU(FEATURES, HIDDEN, batch_first=True)

    def forward(self, query: Tensor, document: Tensor) -> Tensor:
        finals = [self.rnn(self.embedding(ids))[1][-1] for ids in (query, document)]
        return nn.functional.cosine_similarity(*finals)


class Pyramid(nn.Module):
    """Two LSTMs; the second reads pairs of steps."""

    def __init__(self) -> None:
        super().__init__()
        self.lower = nn.LSTM(FEATURES, HIDDEN, batch_first=True, bidirectional=True)
        self.upper = nn.LSTM(4 * HIDDEN, HIDDEN, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        outputs, _ = self.lower(x)
        batch, steps, features = outputs.shape
        return self.upper(outputs.reshape(batch, steps // 2, 2 * features))[0]


class MguOptions(DirectedStackConfig, zoo.CellConfig):
    """Options of an MGU layer."""


class MguLayer(zoo.Layer):
    """Minimal gated units, traced into a Scan."""

    name = "mgu"
    cell = MGUCell


class Layers(nn.Module):
    """A `zoo.Stack` and a `zoo.Layer` whose cell has no operator, called twice."""

    def __init__(self) -> None:
        super().__init__()
        options = {"input_size": FEATURES, "hidden_size": 4, "num_layers": 2, "dtype": torch.float32}
        self.stack = make_stack("lstm", direction="bidirectional", **options)  # type: ignore[arg-type]
        self.layer = MguLayer(8, MguOptions(hidden_size=4, direction="bidirectional"))

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        first = self.layer(self.stack(x, lengths).outputs, lengths)
        second = self.layer(first.outputs, lengths, first.states)
        return second.outputs, second.last, second.states


class TwoReadings(nn.Module):
    """One layer in two places, trimmed sequences in between, and arguments that are no tensors of numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(FEATURES, FEATURES, nonlinearity="relu", batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor, keep: Tensor, scale: float = 1.0, other: Tensor | None = None) -> Any:
        packed = pack_padded_sequence(x * keep[:, :, None], lengths, batch_first=True, enforce_sorted=False)
        first, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, padding_value=scale)
        return self.rnn(first)[0] if other is None else other


class TimeDistributed(nn.Module):
    """A convolution of each image of a sequence, then an LSTM, whose last step is read."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 3, stride=2)
        self.rnn = nn.LSTM(2 * 9, HIDDEN, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        batch, steps = x.shape[:2]
        maps = torch.relu(self.convolution(x.view(batch * steps, *x.shape[2:]))).view(batch, steps, -1)
        return self.rnn(maps)[0][:, -1]  # type: ignore[no-any-return]


class Tagger(nn.Module):
    """Tags of each token; the padding, token 0, gives the lengths; embedding and head share a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, 2 * HIDDEN, padding_idx=0)
        self.rnn = nn.LSTM(2 * HIDDEN, HIDDEN, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, TOKENS)
        self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Any:
        mask = ids != 0
        packed = pack_padded_sequence(self.embedding(ids), mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=ids.size(1))
        return self.head(outputs), mask


class LastStates(nn.Module):
    """A learned first state and the last states alone, of a layer whose lowering is a Scan."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(FEATURES, HIDDEN, 2, bidirectional=True)
        self.first = nn.Parameter(torch.randn(4, 1, HIDDEN))

    def forward(self, x: Tensor) -> Tensor:
        _, h = self.rnn(x, self.first.expand(-1, x.size(1), -1).contiguous())
        return torch.cat([h[-2], h[-1]], 1)


class NetCase(NamedTuple):
    """A module and its arguments."""

    net: Callable[[], nn.Module]
    args: Callable[[int, int], tuple[Any, ...]]
    """From a batch size and a number of steps."""
    operators: str
    """Recurrent operators that its file has, sorted."""


def ids(*shape: int) -> Tensor:
    return torch.randint(TOKENS, shape)


def lengths(batch: int, steps: int) -> Tensor:
    return torch.randint(1, steps + 1, (batch,))


def padded_ids(batch: int, steps: int) -> Tensor:
    return torch.randint(1, TOKENS, (batch, steps)) * (torch.arange(steps) < lengths(batch, steps)[:, None])


def state(batch: int, layers: int = 1) -> Tensor:
    return torch.randn(layers, batch, HIDDEN)


NETS = {
    "attention": NetCase(Attention, lambda batch, steps: (ids(batch, steps),), "LSTM LSTM"),
    "crnn": NetCase(CRNN, lambda batch, steps: (torch.randn(batch, 1, 8, 2 * steps),), "LSTM"),
    "packed_attention": NetCase(PackedAttention, lambda b, steps: (ids(b, steps), lengths(b, steps)), "GRU"),
    "sequence_to_sequence": NetCase(
        Sequence2Sequence, lambda batch, steps: (ids(batch, steps), ids(batch, steps + 2)), "LSTM LSTM"
    ),
    "policy": NetCase(
        Policy, lambda b, steps: (torch.randn(steps, b, FEATURES), (state(b, 2), state(b, 2))), "LSTM LSTM"
    ),
    "voice_activity": NetCase(
        VoiceActivity, lambda b, steps: (torch.randn(b, 3, 2 * steps), state(b), state(b)), "LSTM"
    ),
    "residual": NetCase(Residual, lambda batch, steps: (torch.randn(batch, steps, FEATURES),), "GRU GRU GRU"),
    "weight_normed": NetCase(WeightNormed, lambda batch, steps: (torch.randn(batch, steps, FEATURES),), "LSTM"),
    "summed": NetCase(Summed, lambda batch, steps: (torch.randn(batch, steps, FEATURES),), "Scan Scan Scan"),
    "towers": NetCase(Towers, lambda batch, steps: (ids(batch, steps), ids(batch, steps + 3)), "GRU GRU"),
    "pyramid": NetCase(Pyramid, lambda batch, steps: (torch.randn(batch, 2 * steps, FEATURES),), "LSTM LSTM"),
    "layers": NetCase(
        Layers, lambda b, steps: (torch.randn(steps, b, FEATURES), lengths(b, steps)), "LSTM LSTM Scan Scan Scan Scan"
    ),
    "time_distributed": NetCase(TimeDistributed, lambda batch, steps: (torch.randn(batch, steps, 1, 8, 8),), "LSTM"),
    "tagger": NetCase(Tagger, lambda batch, steps: (padded_ids(batch, steps),), "LSTM"),
    "last_states": NetCase(
        LastStates, lambda batch, steps: (torch.randn(steps, batch, FEATURES),), "Scan Scan Scan Scan"
    ),
    "two_readings": NetCase(
        TwoReadings,
        lambda b, steps: (torch.randn(b, steps, FEATURES), lengths(b, steps), torch.rand(b, steps) < 0.5, 0.5, None),
        "Scan Scan",
    ),
}
