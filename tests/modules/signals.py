"""Modules that read sound and images: convolutions, strides, cells over images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import zoo

HIDDEN = 8


class Amplifier(nn.Module):
    """Model of a guitar amplifier: an LSTM of 16 units over single samples, added to the dry signal."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(1, 16, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, samples: Tensor) -> Tensor:
        outputs, _ = self.rnn(samples)
        return self.head(outputs) + samples  # type: ignore[no-any-return]


class SoundTagger(nn.Module):
    """Power spectra of frames, a convolution with a stride over them, a GRU, and a class of the whole recording."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(16))
        self.convolution = nn.Conv1d(9, HIDDEN, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.rnn = nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, 4)

    def forward(self, frames: Tensor) -> Tensor:
        spectra = torch.fft.rfft(frames * self.window).abs().square()
        maps = torch.relu(self.norm(self.convolution(torch.log1p(spectra).transpose(1, 2))))
        _, final = self.rnn(maps.transpose(1, 2))
        return self.head(final[-1]).softmax(1)  # type: ignore[no-any-return]


class SpeechRecogniser(nn.Module):
    """Log probabilities of characters and a blank for the CTC loss, at each second frame: (time, batch, n)."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, (3, 3), stride=(2, 1), padding=1)
        self.rnn = nn.GRU(2 * 6, HIDDEN, 2, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, 6)

    def forward(self, frames: Tensor) -> Tensor:
        maps = nn.functional.hardtanh(self.convolution(frames.unsqueeze(1)), 0, 20)
        outputs, _ = self.rnn(maps.permute(2, 0, 1, 3).flatten(2))
        return self.head(outputs).log_softmax(2)  # type: ignore[no-any-return]


class ConvLSTMCell(zoo.Cell):
    """LSTM whose sums are convolutions over small images, 4 x 4; states are flattened (Shi et al. 2015)."""

    name = "conv_lstm"
    state_names = ("h", "c")
    SIDE, CHANNELS = 4, 3

    def __init__(self) -> None:
        width = self.CHANNELS * self.SIDE**2
        super().__init__(self.SIDE**2, state_sizes=(width, width), output_size=width)
        self.x2h = nn.Conv2d(1, 4 * self.CHANNELS, 3, padding=1)
        self.h2h = nn.Conv2d(self.CHANNELS, 4 * self.CHANNELS, 3, padding=1, bias=False)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = (part.unflatten(1, (self.CHANNELS, self.SIDE, self.SIDE)) for part in state)
        sums = self.x2h(x.unflatten(1, (1, self.SIDE, self.SIDE))) + self.h2h(h)
        i, f, g, o = sums.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h.flatten(1), (h.flatten(1), c.flatten(1))


class NextImage(nn.Module):
    """Next image of a film at each step: a ConvLSTM over the images, and a convolution of its output."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = zoo.Layer.of_cells([ConvLSTMCell()])
        self.head = nn.Conv2d(ConvLSTMCell.CHANNELS, 1, 1)

    def forward(self, film: Tensor) -> Any:
        outputs = self.rnn(film.flatten(2).transpose(0, 1)).outputs.transpose(0, 1)
        maps = outputs.reshape(-1, ConvLSTMCell.CHANNELS, *film.shape[2:])
        return self.head(maps).reshape(film.shape)
