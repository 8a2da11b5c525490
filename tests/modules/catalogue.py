"""The modules of the table, with example arguments for any batch and number of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tests.exporters.module_nets import NETS
from tests.modules.series import (
    Autoencoder,
    Forecaster,
    Highway,
    Normalised,
    OneSequence,
    Projected,
    Relu,
    SelfAttention,
)
from tests.modules.signals import Amplifier, NextImage, SoundTagger, SpeechRecogniser
from tests.modules.text import CharModel, LastOfPacked, MaskedPooling, SessionRecommender, Siamese

FEATURES, HIDDEN, TOKENS = 6, 8, 20


class ModuleCase(NamedTuple):
    """A module and its arguments."""

    title: str
    """As in the table."""
    net: Callable[[], nn.Module]
    args: Callable[[int, int], tuple[Any, ...]]
    """From a batch size and a number of steps; called again, it draws others."""
    repacked: bool = False
    """Whether each recurrent layer reads the steps of the arguments, so that `tests.modules.packing` can pack them."""

    def made(self) -> nn.Module:
        """Return the module in inference mode, with weights that are the same each time."""
        torch.manual_seed(0)
        return self.net().eval()


def numbers(batch: int, steps: int) -> tuple[Tensor]:
    """Return a sequence of features for each row."""
    return (torch.randn(batch, steps, FEATURES),)


def steps_first(batch: int, steps: int) -> tuple[Tensor]:
    """Return the same with the steps first."""
    return (torch.randn(steps, batch, FEATURES),)


def ids(batch: int, steps: int) -> Tensor:
    """Return tokens."""
    return torch.randint(TOKENS, (batch, steps))


def lengths(batch: int, steps: int) -> Tensor:
    """Return a length for each row, the first of which is full."""
    return torch.randint(1, steps + 1, (batch,)).index_fill(0, torch.tensor([0]), steps)


def state(layers: int, batch: int) -> Tensor:
    """Return a state."""
    return torch.randn(layers, batch, HIDDEN)


def _of(name: str, title: str, *, repacked: bool = False) -> ModuleCase:
    """Return a module of the exporter's tests."""
    case = NETS[name]
    return ModuleCase(title, case.net, case.args, repacked)


CASES = {
    "crnn": _of("crnn", "CRNN: convolutions, biLSTM, classes at each step"),
    "attention": _of("attention", "two-layer biLSTM, attention over steps", repacked=True),
    "packed_attention": _of("packed_attention", "encoder of packed input, attention"),
    "sequence_to_sequence": _of("sequence_to_sequence", "encoder-decoder with teacher forcing"),
    "tagger": _of("tagger", "biLSTM tagger with mask, packed"),
    "char_model": ModuleCase(
        "character model, tied weights, states",
        CharModel,
        lambda b, t: (ids(b, t), (state(2, b), state(2, b))),
        repacked=True,
    ),
    "policy": _of("policy", "recurrent policy, states in and out", repacked=True),
    "voice_activity": _of("voice_activity", "voice activity: convolution, LSTM with state"),
    "session": ModuleCase("session recommender (GRU)", SessionRecommender, lambda b, t: (ids(b, t),), repacked=True),
    "amplifier": ModuleCase(
        "amplifier: LSTM of 16, one feature", Amplifier, lambda b, t: (torch.randn(b, t, 1),), repacked=True
    ),
    "residual": _of("residual", "residual GRU stack", repacked=True),
    "time_distributed": _of("time_distributed", "convolution of each image, LSTM", repacked=True),
    "towers": _of("towers", "two towers of one GRU"),
    "normalised": ModuleCase("layer norm and dropout between LSTMs", Normalised, numbers, repacked=True),
    "weight_normed": _of("weight_normed", "LSTM with weight norm", repacked=True),
    "next_image": ModuleCase("ConvLSTM, a zoo.Cell", NextImage, lambda b, t: (torch.randn(b, t, 4, 4),)),
    "summed": _of("summed", "summed directions, then a projected LSTM", repacked=True),
    "forecaster": ModuleCase(
        "forecaster with categories (LSTM)",
        Forecaster,
        lambda b, t: (torch.randn(b, t), torch.randint(5, (b,))),
        repacked=True,
    ),
    "autoencoder": ModuleCase("LSTM autoencoder", Autoencoder, numbers, repacked=True),
    "sound_tagger": ModuleCase("spectra, strided convolution, GRU", SoundTagger, lambda b, t: (torch.randn(b, t, 16),)),
    "masked_pooling": ModuleCase(
        "attention pooling with a mask of lengths",
        MaskedPooling,
        lambda b, t: (ids(b, t), lengths(b, t)),
        repacked=True,
    ),
    "last_of_packed": ModuleCase("packed, sorted in forward", LastOfPacked, lambda b, t: (ids(b, t), lengths(b, t))),
    "projected": ModuleCase("biLSTM with proj_size", Projected, steps_first, repacked=True),
    "relu": ModuleCase("RNN with relu", Relu, numbers, repacked=True),
    "last_states": _of("last_states", "RNN with a learned first state", repacked=True),
    "one_sequence": ModuleCase("LSTM without a batch axis", OneSequence, lambda b, t: (torch.randn(t, FEATURES),)),
    "self_attention": ModuleCase("multi-head attention after a GRU", SelfAttention, numbers, repacked=True),
    "highway": ModuleCase("biGRU with a highway gate", Highway, numbers, repacked=True),
    "speech": ModuleCase(
        "convolution, biGRU, log_softmax for CTC", SpeechRecogniser, lambda b, t: (torch.randn(b, 2 * t, 6),)
    ),
    "siamese": ModuleCase(
        "siamese biLSTM of packed texts",
        Siamese,
        lambda b, t: (ids(b, t), lengths(b, t), ids(b, t + 2), lengths(b, t + 2)),
    ),
    "pyramid": _of("pyramid", "pyramid: the second LSTM reads pairs of steps"),
}
