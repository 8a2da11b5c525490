"""Named state tensors of a model, in torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

import zoo
from tests.cells.elman import ElmanCell
from tests.support.builders import config_type, layer_type
from tests.support.models import CLASSES, FEATURES, draw, make_model
from zoo.nn.states import state_parts
from zoo.parity import judge
from zoo.proof.oracle import Oracle
from zoo_lstm import LSTMCell

HIDDEN = 5


def layer_of(cell: type[zoo.Cell]) -> zoo.Layer:
    torch.manual_seed(0)
    return layer_type(cell)(FEATURES, config_type(cell).model_validate({"hidden_size": HIDDEN}))


def outputs(model: zoo.Model, x: Tensor, states: Mapping[str, Tensor] | None = None) -> Mapping[str, Tensor]:
    with torch.no_grad():
        return model.outputs(x, states=states)


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "direction", "names"),
    [
        ("lstm", "forward", ["state_0_h", "state_0_c", "state_1_h", "state_1_c"]),
        ("gru_after", "reverse", ["state_0_h", "state_1_h"]),
        ("rnn_tanh", "bidirectional", [f"state_{layer}_{way}_h" for layer in (0, 1) for way in ("forward", "reverse")]),
    ],
)
def test_names(kind: str, direction: str, names: list[str]) -> None:
    """By layer, by direction in a bidirectional layer, and by state, in this order."""
    model = make_model(kind, hidden_size=HIDDEN, direction=direction, num_layers=2)
    assert [place.name for place in model.state_places()] == names
    assert [place.next_name for place in model.state_places()] == [f"next_{name}" for name in names]
    assert [part.name for part in model.state_parts()] == names
    assert all(torch.equal(part.initial, torch.zeros(HIDDEN)) for part in model.state_parts())


def named(*names: str) -> type[zoo.Cell]:
    return type("Named", (LSTMCell,), {"state_names": names})


def test_a_cell_without_names_has_its_states_numbered() -> None:
    assert [part.name for part in state_parts([layer_of(named())])] == ["state_0_0", "state_0_1"]


@pytest.mark.parametrize("names", [("h",), ("h", "c", "m"), ("h", "h")])
def test_wrong_state_names_are_rejected(names: tuple[str, ...]) -> None:
    with pytest.raises(zoo.ExportError) as caught:
        state_parts([layer_of(named(*names))])
    assert str(caught.value) == (
        f"layer 0: the cell 'lstm' has 2 tensors in its state and the state_names {names}; give each a name of its "
        "own, or leave state_names out"
    )


# --- initial values -------------------------------------------------------------------------------------------------


def test_initial_states_are_the_cells_own() -> None:
    """Learned ones, and integers with their own dtype."""
    (learned,) = make_model("learned_start", hidden_size=HIDDEN).state_parts()
    assert learned.initial.shape == (HIDDEN,)
    assert learned.initial.unique().numel() == HIDDEN
    types = {part.name: part.initial.dtype for part in make_model("clockwork").state_parts()}
    assert types == {"state_0_fast": torch.float32, "state_0_slow": torch.float32, "state_0_t": torch.int64}


class UnequalStarts(ElmanCell):
    """Each sequence starts with a different state."""

    def initial_state(self, batch: int, like: Tensor) -> zoo.State:
        return (torch.arange(batch)[:, None].expand(-1, self.state_sizes[0]).to(like),)


def test_sequences_that_start_differently_have_no_initial_state() -> None:
    with pytest.raises(zoo.ExportError, match="gives different initial states to the sequences of a batch; make"):
        state_parts([layer_of(UnequalStarts)])


class Computed(ElmanCell):
    """The initial state is the rounded result of a computation."""

    def initial_state(self, batch: int, like: Tensor) -> zoo.State:
        return (torch.full((batch, self.state_sizes[0]), 0.3).to(like).exp(),)


def test_a_computed_initial_state_is_disturbed_too() -> None:
    model = make_model("elman", hidden_size=HIDDEN)
    model.stack = zoo.Stack(
        layer_type(Computed), FEATURES, config_type(Computed).model_validate({"hidden_size": HIDDEN})
    )
    expected = Oracle(model).expect(draw(3, 4), states={})
    assert 0 < float(expected["next_state_0_h"].sensitivity.max()) < 1e-5


# --- states as inputs and outputs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lstm", "gru_before", "clockwork", "learned_start", "smoothing"])
@pytest.mark.parametrize("pooling", ["last", None])
def test_a_second_half_continues_from_the_final_states(kind: str, pooling: str | None) -> None:
    """Two halves, the second from the final states of the first, give the same as the whole, within the budget."""
    model = make_model(kind, num_layers=2, pooling=pooling)
    x = torch.from_numpy(draw(3, 11))
    first = outputs(model, x[:, :4], {})
    second = outputs(model, x[:, 4:], {place.name: first[place.next_name] for place in model.state_places()})
    actual = {
        name: (value if pooling or name.startswith("next_") else torch.cat([first[name], value], 1)).numpy()
        for name, value in second.items()
    }
    expected = Oracle(model).expect(x.numpy(), states={})
    outcomes = judge(expected, actual)
    assert {name: outcome.reason for name, outcome in outcomes.items() if outcome.status != "passed"} == {}
    assert expected.keys() == {"logits", "probabilities", *(place.next_name for place in model.state_places())}


def test_states_left_out_are_the_initial_ones() -> None:
    model = make_model("lstm", hidden_size=HIDDEN, direction="bidirectional")
    x = torch.from_numpy(draw(2, 3))
    initial = {part.name: part.initial.expand(2, -1) for part in model.state_parts()}
    plain, all_given = outputs(model, x, {}), outputs(model, x, initial)
    assert all(torch.equal(value, all_given[name]) for name, value in plain.items())
    assert all(torch.equal(value, plain[name]) for name, value in outputs(model, x).items())
    for name in initial:
        moved = outputs(model, x, {name: torch.full((2, HIDDEN), 0.5)})
        changed = {key for key, value in moved.items() if not torch.equal(value, plain[key])}
        way = "forward" if "forward" in name else "reverse"
        assert changed == {"logits", "probabilities", f"next_state_0_{way}_h", f"next_state_0_{way}_c"}, name


def test_an_unknown_state_is_rejected() -> None:
    with pytest.raises(zoo.DataError) as caught:
        outputs(make_model("gru_after"), torch.from_numpy(draw(2, 3)), {"state_1_h": torch.zeros(2, 5)})
    assert str(caught.value) == "the model has no state 'state_1_h'; its states are: state_0_h"


def test_final_states_with_lengths_are_those_of_the_last_valid_step() -> None:
    model = make_model("clockwork", takes_lengths=True)
    x = torch.from_numpy(draw(3, 6))
    with torch.no_grad():
        named = model.outputs(x, torch.tensor([2, 6, 3]), {"state_0_t": torch.tensor([[0], [1], [7]])})
    assert named["next_state_0_t"].tolist() == [[2], [7], [10]]


def test_the_oracle_knows_which_outputs_have_steps() -> None:
    """States have no steps, even if each step is scored; a counter stays an integer and is never disturbed."""
    model = make_model("clockwork", hidden_size=HIDDEN, pooling=None)
    expected = Oracle(model).expect(draw(2, HIDDEN), states={"state_0_t": np.array([[4], [5]])})
    shapes = {name: (value.exact.shape, value.steps) for name, value in expected.items()}
    assert shapes["logits"] == ((2, HIDDEN, CLASSES), HIDDEN)
    assert shapes["next_state_0_fast"] == ((2, HIDDEN), 1)
    counter = expected["next_state_0_t"]
    assert (counter.exact.tolist(), counter.sensitivity.tolist()) == ([[9], [10]], [0])
    assert counter.exact.dtype == np.int64
