"""Exported model, verified and ready to predict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.in_memory import given_sequences
from zoo.data.recordings.form import RecordingForm
from zoo.data.signature import Signature
from zoo.data.steps import as_steps
from zoo.data.tokens import UNKNOWN
from zoo.errors import DataError, RunError
from zoo.runtime.answers import Answer, Prediction, decode_outputs
from zoo.runtime.file_hash import hash_fault
from zoo.runtime.golden import Golden
from zoo.runtime.onnx_contents import onnx_fault
from zoo.runtime.proof_verdict import proof_fault
from zoo.runtime.session import OnnxSession, read_onnx
from zoo.runtime.state_inputs import ALLOW
from zoo.runtime.streaming import CHUNKS, CHUNKS_KEY, OnnxStream
from zoo.runtime.windows import Window, cut, joined

BATCH = 64
"""Maximum number of sequences in one batch of `OnnxModel.predict`."""
Steps = NDArray[Any]
"""One sequence: (time, features) float32, or (time,) tokens int64."""


class OnnxModel:
    """Model in a file that ``zoo export --onnx`` wrote, verified when it is loaded.

    The constructor verifies that no byte of the file is damaged (the seal); that the file needs no other file and
    no custom library; that the proof passed, if the file has a verdict; and that this machine computes the golden
    outputs in the file from its golden input, within the error bound of `zoo.parity`. All of this can be renewed by a
    person who alters a file; only ``sha256``, from a source of trust, shows that the file is the one that was exported.

    A model has no mutable state, so any number of threads may share it.

    Args:
        path: the ``.onnx`` file.
        provider: execution provider, ``cpu`` or ``cuda``.
        threads: number of CPU threads for one call; ONNX Runtime's default when None.
        strict: whether float32 products are computed in float32. If false, ONNX Runtime's default applies, which on
            CUDA is TF32.
        allow_unproven: whether a file with a verdict other than *passed* is accepted, for analysis. A file without a
            verdict, which a program wrote through an exporter, is always accepted.
        sha256: the hash that the file must have: 64 hexadecimal digits, with or without ``sha256:`` before them; None
            for any. The run's model card states it.

    Attributes:
        signature: features, vocabulary, labels, targets and other properties of the data; a `zoo.Signature`.

    Raises:
        ProviderUnavailable: if the provider cannot run on this machine.
        RunError: if the file does not exist, has another hash than ``sha256``, is altered or lacks an entry that ``zoo
            export`` writes; if its proof did not pass; or if this machine does not reproduce the golden outputs. The
            message gives the reason.
        UsageError: if ``sha256`` is no hash.
    """

    def __init__(
        self,
        path: str | Path,
        provider: str = "cpu",
        *,
        threads: int | None = None,
        strict: bool = False,
        allow_unproven: bool = False,
        sha256: str | None = None,
    ) -> None:
        path = Path(path)
        content = read_onnx(path)
        other = None if sha256 is None else hash_fault(content, sha256)
        if fault := other or onnx_fault(content):
            raise RunError(f"{path}: {fault}")
        # ONNX Runtime gets the verified bytes, since the file at the path may change in the meantime.
        self._session = OnnxSession(path, provider, strict=strict, threads=threads, content=content)
        if self._session.signature is None:
            raise RunError(f"{path}: carries no signature, so 'zoo export' did not write it; export the run again")
        self.signature = self._session.signature
        if not allow_unproven and (fault := proof_fault(self.metadata)):
            raise RunError(f"{path}: {fault}")
        _verify_golden(self._session, "tf32" if provider == "cuda" and not strict else "float32")

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self._session.path

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata of the file, text by key: spec, versions, a summary of the proof, and others."""
        return self._session.metadata

    @property
    def takes_lengths(self) -> bool:
        """Whether the sequences of a batch may have different lengths."""
        return self._session.takes_lengths

    @property
    def output_names(self) -> Sequence[str]:
        """Names of the outputs, including those of the states after the last step."""
        return self._session.output_names

    def run(
        self,
        x: NDArray[Any],
        lengths: NDArray[Any] | None = None,
        states: Mapping[str, NDArray[Any]] | None = None,
        *,
        allow_nonfinite: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """Run the model on one batch.

        Args:
            x: (batch, time, features) numbers in the user's units, or (batch, time) tokens.
            lengths: (batch,) integers from 1 to time, the valid steps of each sequence, if the model takes lengths;
                None if all steps are valid. Values beyond a length have no effect and are not checked.
            states: (batch, n) by name, if the model takes states; a missing one has its initial value.
            allow_nonfinite: whether NaN, infinity and numbers beyond the range of float32 are accepted in x and states.
                They are rejected by default, since ONNX Runtime's recurrent operators return finite, plausible outputs
                for NaN.

        Returns:
            Each output by name, in the user's units: (batch, ...), or (batch, time, ...) if the model predicts each
            step; float32. The states after the last step are (batch, n), in their own dtypes.

        Raises:
            DataError: if a shape, dtype, length, token, value or state name is invalid; with the position of a value.
            RunError: if the file is for chunks, or ONNX Runtime fails.
        """
        self._refuse_chunks()
        return self._session.run(x, lengths, states, allow_nonfinite=allow_nonfinite)

    def predict(self, sequences: Any, lengths: Any = None, *, allow_nonfinite: bool = False) -> list[Prediction]:
        """Predict labels or target values for sequences of any lengths.

        Sequences are batched by `BATCH`: with lengths if the model takes them, else in groups of equal length. A
        sequence that is longer than the windows of a model of recordings is cut into such windows as in training, and
        its probabilities or numbers are the mean of theirs; where windows have labels of their own, it has an answer
        for each.

        Args:
            sequences: a list of sequences, or a single one. A sequence is an array (time, features) of numbers in the
                user's units or (time,) of tokens; a text if the model has a tokenizer; or a table: a data frame of any
                library, a structured array, or a dictionary of columns. A table is prepared like a file: order, dates,
                gaps and categories as in training, one or several sequences. An array with one axis more, (sequences,
                time, features), contains several sequences.
            lengths: (sequences,) valid steps of each sequence of such an array that is padded; None if all are valid.
            allow_nonfinite: whether NaN, infinity and numbers beyond the range of float32 are accepted; see `run`.

        Returns:
            One `Prediction` for each sequence, in the order of the sequences, with label names and in the user's units.
            Its ``source`` is the index, such as ``[0]``, or the name of the group or recording in a table, such as
            ``[north]``. A series that is too short has no answers, and a note.

        Raises:
            DataError: if a sequence is invalid; with its index, from 0, and the position of the value.
            RunError: if the file is for chunks, or ONNX Runtime fails.
        """
        self._refuse_chunks()
        given = given_sequences(sequences, self.signature, lengths)
        steps = {
            number: as_steps(
                each.value,
                self.signature,
                f"{self.path.name}: sequence [{number}]",
                allow_nonfinite=allow_nonfinite,
                advice=ALLOW,
            )
            for number, each in enumerate(given)
            if each.value is not None
        }
        answers = dict(zip(steps, self._answers(list(steps.values())), strict=True))
        return [
            Prediction(each.name, answers.get(number, ()), each.note or self._note(steps.get(number)))
            for number, each in enumerate(given)
        ]

    def _answers(self, sequences: Sequence[Steps]) -> Iterator[tuple[Answer, ...]]:
        """Yield the answers for each sequence, from those for its windows."""
        windows = cut(sequences, self.signature)
        outputs = self._outputs([window.steps for window in windows])
        for _, group in groupby(range(len(windows)), lambda place: windows[place].sequence):
            places = list(group)
            own = [windows[place] for place in places]
            yield tuple(_answers([outputs[place] for place in places], own, self.signature))

    def _outputs(self, sequences: Sequence[Steps]) -> list[Mapping[str, NDArray[Any]]]:
        """Return the outputs for each sequence by name, without those of states."""
        rows: dict[int, Mapping[str, NDArray[Any]]] = {}
        for numbers in self._batches(sequences):
            lengths = np.array([len(sequences[number]) for number in numbers])
            width = (self._session.input.steps or 0) if self.takes_lengths else 0
            x = _padded([sequences[number] for number in numbers], width)
            outputs = self._session.run(x, lengths if self.takes_lengths else None)
            for row, number in enumerate(numbers):
                rows[number] = {name: outputs[name][row] for name in self._session.result_names}
        return [rows[number] for number in range(len(sequences))]

    def stream(self) -> OnnxStream:
        """Create a stream, which processes sequences chunk by chunk and keeps their states.

        Returns:
            A stream with initial states. Streams of one model are independent of each other.

        Raises:
            RunError: if the file is for whole sequences.
        """
        return OnnxStream(self._session)

    def _refuse_chunks(self) -> None:
        if self.metadata.get(CHUNKS_KEY) == CHUNKS:
            raise RunError(
                f"{self.path}: is for chunks, not for whole sequences; call stream(), or name a file that "
                "'zoo export --onnx' made without --streaming"
            )

    def _note(self, steps: Steps | None) -> str:
        """Return the note on the prediction for a sequence; empty if a token is in the vocabulary."""
        unknown = self.signature.ids.get(UNKNOWN)
        if unknown is None or steps is None or not (steps == unknown).all():
            return ""
        token = self.signature.tokenizer.rstrip("s2") or "token"
        return f"contains no {token} that the model knows; the prediction depends on the number of {token}s alone"

    def _batches(self, sequences: Sequence[Steps]) -> Iterator[Sequence[int]]:
        """Yield the indices of the sequences of each batch, which have equal length if the model takes no lengths."""
        groups: dict[int, list[int]] = {}
        for number, sequence in enumerate(sequences):
            groups.setdefault(0 if self.takes_lengths else len(sequence), []).append(number)
        for numbers in groups.values():
            yield from (numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH))


def _answers(
    outputs: Sequence[Mapping[str, NDArray[Any]]], windows: Sequence[Window], signature: Signature
) -> Iterator[Answer]:
    """Yield the answers for a sequence from the outputs for its windows."""
    if isinstance(signature.form, RecordingForm) and not signature.form.mean:
        for rows, window in zip(outputs, windows, strict=True):
            last = window.start + len(window.steps)
            for answer in decode_outputs(rows, signature, len(window.steps)):
                yield replace(answer, step=last)
        return
    length = max(window.start + len(window.steps) for window in windows)
    yield from decode_outputs(joined(outputs, windows, signature), signature, length)


def _padded(sequences: Sequence[Steps], width: int) -> NDArray[Any]:
    """Return sequences as one batch, (batch, time, ...), padded with zeros to at least ``width`` steps."""
    width = max(width, *map(len, sequences))
    x = np.zeros((len(sequences), width, *sequences[0].shape[1:]), sequences[0].dtype)
    for row, sequence in enumerate(sequences):
        x[row, : len(sequence)] = sequence
    return x


def _verify_golden(session: OnnxSession, precision: str) -> None:
    """Raise a `RunError` unless the session reproduces the golden outputs of its file."""
    try:
        golden = Golden.from_metadata(session.metadata, session.result_names)
        outputs = session.run(golden.x, golden.lengths)
    except (ValueError, DataError) as error:
        raise RunError(
            f"{session.path}: carries no golden input and output, so 'zoo export' did not write it; export the run "
            "again"
        ) from error
    if fault := golden.fault(outputs, precision):
        raise RunError(
            f"{session.path}: does not give its golden output on this machine: {fault}; 'zoo check' shows where it "
            "differs; take another provider or another ONNX Runtime"
        )
