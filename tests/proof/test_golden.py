"""The golden input of a file: how it is chosen, what is kept of it, and who passes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models import draw, make_model, sequences
from zoo.proof.golden_oracle import LONGEST, SEQUENCES, golden
from zoo.proof.oracle import Oracle
from zoo.runtime.golden import Golden


@pytest.mark.parametrize(
    ("steps", "fixed", "width"), [(5, None, 5), (LONGEST + 9, None, LONGEST), (5, 12, 12), (5, 3, 3), (80, 70, 70)]
)
def test_how_long_it_is(steps: int, fixed: int | None, width: int) -> None:
    """As long as the data, but not too long; where the file takes a fixed number of steps, that many."""
    x = draw(4, steps)
    found = golden(make_model("lstm", takes_lengths=True), sequences(x, [steps, 2, 1, 1]), fixed)
    assert found.x.shape == (SEQUENCES, width, 8)
    assert np.array_equal(found.x, np.concatenate([x, x, x], 1)[:SEQUENCES, :width])
    assert found.lengths is not None
    assert found.lengths.tolist() == [min(steps, width), 2]


@pytest.mark.parametrize("pooling", ["last", None])
def test_what_the_metadata_keep(pooling: str | None) -> None:
    wanted = golden(make_model("lstm", pooling=pooling, takes_lengths=True), sequences(draw(2, 6), [6, 3]))
    found = Golden.from_metadata(wanted.to_metadata(), list(wanted.expected))
    for one, other in ((wanted.x, found.x), (wanted.lengths, found.lengths)):
        assert one is not None
        assert other is not None
        assert (one.dtype, one.tolist()) == (other.dtype, other.tolist())
    for name, expected in wanted.expected.items():
        assert np.array_equal(found.expected[name].exact, expected.exact)
        assert np.array_equal(found.expected[name].sensitivity, expected.sensitivity)
        assert len(expected.sensitivity) == (6 if pooling is None else 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("golden_logits", ""),
        ("golden_logits", "not base64!"),
        ("golden_logits", "aGVsbG8="),
        ("golden_logits_sensitivity", None),
        ("golden_input", None),
    ],
)
def test_what_is_damaged(name: str, text: str | None) -> None:
    metadata = golden(make_model("lstm"), sequences(draw(2, 6))).to_metadata()
    # Without a text, the golden output, which has another shape and, for the input, another meaning.
    metadata[name] = metadata["golden_logits"] if text is None and name != "golden_input" else text or ""
    with pytest.raises(ValueError, match=r"."):
        Golden.from_metadata(metadata, ["logits", "probabilities"])


def test_an_error_of_the_size_of_tf32() -> None:
    """What a machine gives that rounds to TF32 passes as that, and not as float32."""
    known = golden(make_model("lstm", hidden_size=32), sequences(draw(2, 28)))
    error = {name: 2.0 * one.sensitivity * 2**13 for name, one in known.expected.items()}
    found = {name: (one.exact + error[name]).astype(np.float32) for name, one in known.expected.items()}
    assert known.fault(found, "tf32") is None
    fault = known.fault(found, "float32")
    assert fault is not None
    assert fault.startswith("logits: error ")


@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm", "gru_after"])
@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_the_sensitivity_at_tf32_follows_from_that_at_float32(kind: str, gain: float) -> None:
    """To first order: within 5%, where the rule of parity leaves a factor of 8. Measured: 0.3% at most."""
    model, x = make_model(kind, hidden_size=32, recurrent_gain=gain), draw(2, 28)
    fine, coarse = Oracle(model).expect(x), Oracle(model).expect(x, "tf32")
    for name, one in fine.items():
        ratio = one.sensitivity * 2.0**13 / coarse[name].sensitivity
        assert np.all((ratio > 0.95) & (ratio < 1.05)), (name, ratio)
