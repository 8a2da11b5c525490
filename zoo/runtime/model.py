"""An exported file, verified and ready to answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import as_array, require_finite, require_kind, to_float32, to_tokens
from zoo.data.texts import text_ids
from zoo.data.tokens import UNKNOWN
from zoo.errors import DataError, RunError
from zoo.runtime.answers import Prediction, answers
from zoo.runtime.golden import Golden
from zoo.runtime.onnx_contents import onnx_fault
from zoo.runtime.proof_verdict import proof_fault
from zoo.runtime.session import OnnxSession, read_onnx
from zoo.runtime.state_inputs import ALLOW
from zoo.runtime.streaming import CHUNKS, CHUNKS_KEY, OnnxStream

BATCH = 64
"""Sequences that are answered together."""
Steps = NDArray[Any]
"""(time, features) float32, or (time,) tokens int64: a sequence."""


class OnnxModel:
    """A file that ``zoo export --onnx`` wrote, verified and ready to answer.

    Verified means: the file is as it was written, to the byte; it needs no other file and no library; it carries no
    verdict of a proof that it did not pass; and this machine gives for the golden input that it carries what it must.
    It holds nothing that changes, so that any number of
    threads may use it at once.

    Args:
        path: the ``.onnx`` file.
        provider: ``cpu`` or ``cuda``.
        threads: of the CPU, for one call; as many as ONNX Runtime likes when None.
        strict: keep float32 products in float32; otherwise as ONNX Runtime does by itself, which on CUDA means TF32.
        allow_unproven: take a file that carries a verdict other than *passed* too, to look into it. One that carries
            none, since an exporter wrote it in a program, is always taken.

    Raises:
        ProviderUnavailable: where the provider cannot run here.
        RunError: with the reason, where the file is not what it is to be, or this machine computes something else.
    """

    def __init__(
        self,
        path: str | Path,
        provider: str = "cpu",
        *,
        threads: int | None = None,
        strict: bool = False,
        allow_unproven: bool = False,
    ) -> None:
        path = Path(path)
        content = read_onnx(path)
        if fault := onnx_fault(content):
            raise RunError(f"{path}: {fault}")
        # ONNX Runtime gets the bytes that were looked at, and not a path that may lead elsewhere by now.
        self._session = OnnxSession(path, provider, strict=strict, threads=threads, content=content)
        self._for_chunks = self.metadata.get(CHUNKS_KEY) == CHUNKS
        if self._session.signature is None:
            raise RunError(f"{path}: carries no signature, so 'zoo export' did not write it; export the run again")
        self.signature = self._session.signature
        if not allow_unproven and (fault := proof_fault(self.metadata)):
            raise RunError(f"{path}: {fault}")
        _verify_golden(self._session, "tf32" if provider == "cuda" and not strict else "float32")

    @property
    def path(self) -> Path:
        return self._session.path

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says of itself, text by name: the spec, the versions, the verdict of its proof."""
        return self._session.metadata

    @property
    def takes_lengths(self) -> bool:
        """Whether sequences of one batch may have different lengths."""
        return self._session.takes_lengths

    @property
    def output_names(self) -> Sequence[str]:
        return self._session.output_names

    def run(
        self,
        x: NDArray[Any],
        lengths: NDArray[Any] | None = None,
        states: Mapping[str, NDArray[Any]] | None = None,
        *,
        allow_nonfinite: bool = False,
    ) -> dict[str, NDArray[Any]]:
        """A batch in the user's units -> each output by name.

        Args:
            x: (batch, time, features) numbers or (batch, time) tokens.
            lengths: (batch,) valid steps of each sequence, where the model takes them; all are full when None. What
                stands behind a length is not read, and may be anything.
            states: (batch, n) by name, where the model takes them; what is not given is as at a sequence's start.
            allow_nonfinite: whether numbers and states may be NaN, infinite, or more than float32 can hold. They are
                refused otherwise, since ONNX Runtime's recurrent operators turn NaN into answers that look like any
                other.

        Raises:
            DataError: where a shape, a dtype, a length or a state's name does not fit, or a value is not what the model
                takes; with its place.
            RunError: where the file is for chunks, or ONNX Runtime fails.
        """
        self._refuse_chunks()
        return self._session.run(x, lengths, states, allow_nonfinite=allow_nonfinite)

    def predict(
        self, sequences: str | Iterable[str | NDArray[Any]], *, allow_nonfinite: bool = False
    ) -> list[Prediction]:
        """Answer for sequences of any lengths, in the user's units and with the names of the labels.

        Args:
            sequences: each (time, features) numbers, (time,) tokens, or a text where the model has a tokenizer. An
                array (sequences, time, features) is as many sequences, and one text is one.
            allow_nonfinite: as of `run`.

        Returns:
            The answers for each sequence, in their order.

        Raises:
            DataError: with the number of the sequence, from 0, and the place in it, where one is not what the model
                takes.
            RunError: where the file is for chunks, or ONNX Runtime fails.
        """
        self._refuse_chunks()
        given = [sequences] if isinstance(sequences, str) else sequences
        steps = [self._steps(sequence, f"[{number}]", allow_nonfinite) for number, sequence in enumerate(given)]
        predictions: dict[int, Prediction] = {}
        for numbers in self._batches(steps):
            lengths = np.array([len(steps[number]) for number in numbers])
            width = (self._session.input.steps or 0) if self.takes_lengths else 0
            x = _padded([steps[number] for number in numbers], width)
            outputs = self._session.run(x, lengths if self.takes_lengths else None)
            for row, number in enumerate(numbers):
                rows = {name: value[row] for name, value in outputs.items()}
                found = tuple(answers(rows, self.signature, int(lengths[row])))
                predictions[number] = Prediction(f"[{number}]", found, self._note(steps[number]))
        return [predictions[number] for number in range(len(steps))]

    def stream(self) -> OnnxStream:
        """A new stream, which takes chunks and keeps its own states; only of a file for chunks.

        Raises:
            RunError: where the file is for whole sequences.
        """
        return OnnxStream(self._session)

    def _refuse_chunks(self) -> None:
        if self._for_chunks:
            raise RunError(
                f"{self.path}: is for chunks, not for whole sequences; call stream(), or name a file that "
                "'zoo export --onnx' made without --streaming"
            )

    def _steps(self, sequence: str | NDArray[Any], number: str, allow_nonfinite: bool) -> Steps:
        """The numbers or tokens of a sequence, checked."""
        where = f"{self.path.name}: sequence {number}"
        if isinstance(sequence, str):
            if not self.signature.tokenizer:
                raise DataError(f"{where}: is a text, and this model takes numbers; give an array")
            return text_ids(sequence, self.signature, where)
        values = as_array(sequence, where)
        features = self.signature.features
        expected = f"(time, {features})" if features else "(time,)"
        axes = 2 if features else 1
        if values.ndim != axes or (features and values.shape[1] != features) or len(values) == 0:
            hint = "; where x is one sequence, put it in a list: model.predict([x])" if values.ndim == axes - 1 else ""
            raise DataError(f"{where}: has the shape {values.shape}, expected {expected} with at least one step{hint}")
        require_kind(values.dtype, where, tokens=not features)
        if not features:
            return to_tokens(values, len(self.signature.vocabulary), lambda at: f"{where}, step [{at[0]}]")
        narrow = to_float32(values)
        if not allow_nonfinite:
            require_finite(narrow, values, lambda at: f"{where}, step [{at[0]}], feature [{at[1]}]", advice=ALLOW)
        return narrow

    def _note(self, steps: Steps) -> str:
        """What is to be known about the answers for a sequence."""
        unknown = self.signature.ids.get(UNKNOWN)
        if unknown is None or not (steps == unknown).all():
            return ""
        token = self.signature.tokenizer.removesuffix("s") or "token"
        return f"holds no {token} that the model knows; the answer follows from the number of {token}s alone"

    def _batches(self, sequences: Sequence[Steps]) -> Iterator[Sequence[int]]:
        """The numbers of the sequences that are answered together: of one length where the model takes no lengths."""
        groups: dict[int, list[int]] = {}
        for number, sequence in enumerate(sequences):
            groups.setdefault(0 if self.takes_lengths else len(sequence), []).append(number)
        for numbers in groups.values():
            yield from (numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH))


def _padded(sequences: Sequence[Steps], width: int) -> NDArray[Any]:
    """Sequences as one batch with zeros behind, at least ``width`` steps long."""
    width = max(width, *map(len, sequences))
    x = np.zeros((len(sequences), width, *sequences[0].shape[1:]), sequences[0].dtype)
    for row, sequence in enumerate(sequences):
        x[row, : len(sequence)] = sequence
    return x


def _verify_golden(session: OnnxSession, precision: str) -> None:
    """Raise a `RunError` unless the session gives for the golden input what it must."""
    states = {one.next_name for one in session.states}
    try:
        golden = Golden.from_metadata(session.metadata, [name for name in session.output_names if name not in states])
        found = session.run(golden.x, golden.lengths)
    except (ValueError, DataError) as error:
        raise RunError(
            f"{session.path}: carries no golden input and output, so 'zoo export' did not write it; export the run "
            "again"
        ) from error
    if fault := golden.fault(found, precision):
        raise RunError(
            f"{session.path}: does not give its golden output on this machine: {fault}; 'zoo check' tells where it "
            "differs; take another provider or another ONNX Runtime"
        )
