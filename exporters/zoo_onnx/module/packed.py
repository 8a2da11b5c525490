"""Packed sequences while a module is traced: padded sequences with their lengths, which a graph can contain."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import statically_known_true
from torch.nn.utils import rnn
from torch.nn.utils.rnn import PackedSequence

import zoo
from zoo_onnx.module.lines import running_line
from zoo_onnx.module.recording import RecordedModule, Recording


class Padded(PackedSequence):
    """What `pack_padded_sequence` gives during an export."""

    padded: Tensor
    """(time, batch, features)"""
    lengths: Tensor
    """(batch,) int64"""
    zero_beyond: bool
    """Whether the steps beyond each length are zero."""

    def __new__(cls, padded: Tensor, lengths: Tensor, *, zero_beyond: bool = False) -> Padded:
        made = tuple.__new__(cls, (padded, lengths, None, None))
        made.padded, made.lengths, made.zero_beyond = padded, lengths, zero_beyond
        return made

    def to(self, *args: Any, **kwargs: Any) -> Padded:
        """Return the sequences with another dtype or device."""
        return Padded(self.padded.to(*args, **kwargs), self.lengths, zero_beyond=self.zero_beyond)

    def _refuse(self, part: str) -> NoReturn:
        raise refusal(
            f"PackedSequence.{part} is used, whose rows have no place in a graph with free lengths",
            "use pad_packed_sequence and the lengths",
        )

    data = property(lambda self: self._refuse("data"))
    batch_sizes = property(lambda self: self._refuse("batch_sizes"))
    sorted_indices = property(lambda self: self._refuse("sorted_indices"))
    unsorted_indices = property(lambda self: self._refuse("unsorted_indices"))

    def __getitem__(self, index: Any) -> NoReturn:
        self._refuse("data")

    def __iter__(self) -> NoReturn:
        self._refuse("data")


class PackedModule(RecordedModule):
    """An nn.RNN, nn.LSTM or nn.GRU that takes and gives `Padded` sequences."""

    def unpacked(self, packed: PackedSequence) -> tuple[Tensor, Tensor]:
        if not isinstance(packed, Padded):
            raise refusal(
                "a PackedSequence is made from its parts", "pack padded sequences with pack_padded_sequence in forward"
            )
        return packed.padded, packed.lengths

    def packed(self, outputs: Tensor, lengths: Tensor, like: PackedSequence) -> PackedSequence:  # noqa: ARG002
        return Padded(outputs, lengths, zero_beyond=True)


def refusal(reason: str, remedy: str) -> zoo.ExportError:
    """Return the error for the running line of the user's code."""
    line = running_line()
    place = f"{line[0]}:{line[1]}: " if line else ""
    return zoo.ExportError(f"{place}{reason}; {remedy}")


@contextmanager
def padded_in_place_of_packed(module: nn.Module, recording: Recording) -> Iterator[None]:
    """Replace torch's functions that pack and pad, under every name that loaded code has for them, for a while."""
    by_id = {id(getattr(rnn, name)): function for name, function in _functions(recording).items()}
    changed: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for namespace in _namespaces(module):
            for name, value in list(namespace.items()):
                if id(value) in by_id:
                    changed.append((namespace, name, value))
                    namespace[name] = by_id[id(value)]
        yield
    finally:
        for namespace, name, value in changed:
            namespace[name] = value


def _namespaces(module: nn.Module) -> Iterator[dict[str, Any]]:
    """Yield the names of every loaded module but the core's, and those of the code of a module."""
    visited: set[int] = set()
    codes = [vars(kind).get("forward") for part in module.modules() for kind in type(part).__mro__]
    spaces = [getattr(code, "__globals__", None) for code in codes]
    spaces += [getattr(loaded, "__dict__", None) for loaded in list(sys.modules.values())]
    for space in spaces:
        if (
            isinstance(space, dict)
            and id(space) not in visited
            and space.get("__name__", "").partition(".")[0] != "zoo"
        ):
            visited.add(id(space))
            yield space


def _functions(recording: Recording) -> dict[str, Callable[..., Any]]:
    """Return the replacements of torch's functions, with their arguments."""

    def pack_padded_sequence(
        input: Tensor,  # noqa: A002
        lengths: Tensor | Sequence[int],
        batch_first: bool = False,
        enforce_sorted: bool = True,  # noqa: ARG001  (the rows keep their order)
    ) -> Padded:
        if not isinstance(lengths, Tensor):
            raise refusal(
                "the lengths are Python numbers, which would be constants of the file",
                "give pack_padded_sequence a tensor that is an argument of forward or computed from one",
            )
        return Padded(input.transpose(0, 1) if batch_first else input, lengths.to(torch.int64))

    def pad_packed_sequence(
        sequence: PackedSequence,
        batch_first: bool = False,
        padding_value: float = 0.0,
        total_length: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        if not isinstance(sequence, Padded):
            raise refusal("a PackedSequence is made from its parts", "pack padded sequences with pack_padded_sequence")
        x, lengths = sequence.padded, sequence.lengths
        if total_length is None:
            x = recording.trim(x, lengths)
        elif not statically_known_true(total_length == x.shape[0]):
            filling = x.new_zeros((total_length, *x.shape[1:]))
            x = torch.cat([x, filling])[:total_length]
        if padding_value != 0 or not sequence.zero_beyond:
            steps = torch.arange(x.shape[0], device=x.device)[:, None]
            mask = (steps < lengths).reshape(x.shape[0], x.shape[1], *[1] * (x.dim() - 2))
            x = x.where(mask, x.new_full((), padding_value))
        return (x.transpose(0, 1) if batch_first else x), lengths

    def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> NoReturn:  # noqa: ARG001
        raise refusal(
            f"pack_sequence takes a Python list, so the batch would be fixed at {len(sequences)}",
            "pad the sequences outside (torch.nn.utils.rnn.pad_sequence) and use pack_padded_sequence with lengths",
        )

    return {
        "pack_padded_sequence": pack_padded_sequence,
        "pad_packed_sequence": pad_packed_sequence,
        "pack_sequence": pack_sequence,
    }
