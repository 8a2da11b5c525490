"""The built-in cells over time: fused against cell against the NumPy reference, lengths, states, dropout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import zoo
from tests.support import reference
from tests.support.builders import KINDS, make_stack
from tests.support.measure import CASES, FUSED_CASES, TIME, Case, Problem, assert_close, gradients, named_states, run

FULL_LENGTHS = [5, 1, 7, 3]
"""Mixed lengths, the longest as long as the batch."""
SHORT_LENGTHS = [4, 1, 6, 3]
"""Mixed lengths, all shorter than the batch."""

WAYS = [(case, "cell") for case in CASES] + [(case, "fused") for case in FUSED_CASES]
every_way = pytest.mark.parametrize(("case", "implementation"), WAYS, ids=str)
every_fused_case = pytest.mark.parametrize("case", FUSED_CASES, ids=str)


# --- equality of the two implementations and the reference ----------------------------------------------------------


@every_fused_case
@pytest.mark.parametrize("lengths", [None, FULL_LENGTHS], ids=["full", "mixed"])
def test_fused_equals_cell(case: Case, lengths: list[int] | None) -> None:
    fused, cell = case.stack("fused"), case.stack("cell")
    assert [layer.fused for layer in fused.ordered_layers] == [True] * case.layers
    assert [layer.fused for layer in cell.ordered_layers] == [False] * case.layers
    problem = Problem.of(case, lengths)
    assert_close(run(fused, problem), run(cell, problem), case)
    assert_close(gradients(fused, problem), gradients(cell, problem), case)


def numpy_parameters(stack: zoo.Stack) -> list[list[reference.Parameters]]:
    """Return the parameters of each layer's cells in the form of the reference."""
    return [
        [{name: tensor.numpy() for name, tensor in cell.state_dict().items()} for cell in layer.directed_cells]
        for layer in stack.ordered_layers
    ]


def numpy_states(states: list[list[zoo.State]]) -> list[list[reference.State]]:
    return [[tuple(part.numpy() for part in state) for state in layer] for layer in states]


@every_way
@pytest.mark.parametrize("lengths", [None, FULL_LENGTHS], ids=["full", "mixed"])
@pytest.mark.parametrize("given", [False, True], ids=["zero_state", "given_state"])
def test_equals_reference(case: Case, implementation: str, lengths: list[int] | None, given: bool) -> None:
    stack, problem = case.stack(implementation), Problem.of(case, lengths)
    with torch.no_grad():
        outputs, _, finals = stack(problem.x, problem.lengths, problem.states if given else None)
    expected, expected_finals = reference.run_stack(
        case.kind,
        case.direction,
        numpy_parameters(stack),
        problem.x.numpy(),
        lengths,
        numpy_states(problem.states) if given else None,
    )
    tensors = [[tuple(torch.from_numpy(part) for part in state) for state in layer] for layer in expected_finals]
    assert_close(
        {"outputs": outputs, **named_states(finals)},
        {"outputs": torch.from_numpy(expected), **named_states(tensors)},
        case,
    )


@every_way
def test_gradients_equal_reference(case: Case, implementation: str) -> None:
    """The directional derivative of the loss along a random direction in all inputs, states and parameters."""
    stack, problem = case.stack(implementation), Problem.of(case, FULL_LENGTHS)
    generator = np.random.default_rng(2)
    slopes = {name: gradient.numpy() for name, gradient in gradients(stack, problem).items()}
    along = {name: generator.standard_normal(gradient.shape) for name, gradient in slopes.items()}
    terms = np.concatenate([(slopes[name] * along[name]).ravel() for name in slopes])

    tiny = 1e-100  # a complex step has no cancellation, so it can be as small as a float allows

    def shifted(name: str, value: reference.Array) -> reference.Array:
        result: reference.Array = value + 1j * tiny * along[name]
        return result

    layers = [
        [
            {name: shifted(f"layers.{number}.cells.{half}.{name}", value) for name, value in parameters.items()}
            for half, parameters in enumerate(cells)
        ]
        for number, cells in enumerate(numpy_parameters(stack))
    ]
    states = [
        [
            tuple(shifted(f"state {number} {half} {part}", value) for part, value in enumerate(state))
            for half, state in enumerate(halves)
        ]
        for number, halves in enumerate(numpy_states(problem.states))
    ]
    x = shifted("x", problem.x.numpy())
    outputs, finals = reference.run_stack(case.kind, case.direction, layers, x, FULL_LENGTHS, states)
    loss = (outputs * problem.output_weights.numpy()).sum()
    for final, weights in zip(
        (part for layer in finals for state in layer for part in state),
        named_states(problem.state_weights).values(),
        strict=True,
    ):
        loss += (final * weights.numpy()).sum()
    # The bound of `assert_close`, with the number and the magnitudes of the terms of the directional derivative added.
    limit = np.finfo(np.float64).eps * (case.operations + terms.size) * np.abs(terms).sum()
    assert abs(loss.imag / tiny - terms.sum()) <= limit


@every_fused_case
def test_weights_load_from_one_implementation_into_the_other(case: Case) -> None:
    problem = Problem.of(case)
    for first, second in (("fused", "cell"), ("cell", "fused")):
        source, target = case.stack(first), case.stack(second)
        with torch.no_grad():
            for parameter in source.parameters():
                parameter.mul_(0.5)
        assert list(source.state_dict()) == list(target.state_dict())
        target.load_state_dict(source.state_dict())
        assert_close(run(target, problem), run(source, problem), case)


def test_parameter_names() -> None:
    """Weight files contain the names, so they must not change."""
    names = make_stack("lstm", num_layers=2, direction="bidirectional").state_dict()
    parts = ["x2h.weight", "x2h.bias", "h2h.weight", "h2h.bias"]
    assert list(names) == [f"layers.{n}.cells.{half}.{part}" for n in (0, 1) for half in (0, 1) for part in parts]


def reversed_within(x: Tensor, lengths: list[int]) -> Tensor:
    """Reverse each sequence within its length."""
    result = x.clone()
    for index, length in enumerate(lengths):
        result[:length, index] = x[:length, index].flip(0)
    return result


def same_as_torch(stack: zoo.Stack, case: Case, input_size: int, hidden: int) -> nn.RNNBase:
    """Return the torch.nn module of all layers, with the weights of a stack."""
    modules: Mapping[str, Callable[..., nn.RNNBase]] = {
        "rnn_tanh": partial(nn.RNN, nonlinearity="tanh"),
        "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
        "lstm": nn.LSTM,
        "gru_after": nn.GRU,
    }
    two = case.direction == "bidirectional"
    plain = modules[case.kind](input_size, hidden, case.layers, bias=case.bias, bidirectional=two)
    weights = {
        f"{part}_{torch_name}_l{number}{suffix}": cell.get_parameter(f"{linear}.{part}")
        for number, layer in enumerate(stack.ordered_layers)
        for cell, suffix in zip(layer.directed_cells, ("", "_reverse"), strict=False)
        for linear, torch_name in (("x2h", "ih"), ("h2h", "hh"))
        for part in (("weight", "bias") if case.bias else ("weight",))
    }
    plain.load_state_dict(weights)
    return plain


@every_fused_case
@pytest.mark.parametrize("mixed", [False, True], ids=["full", "mixed"])
def test_fused_is_torch_bit_for_bit(case: Case, mixed: bool) -> None:
    """Float32, at a width where kernels work in blocks: outputs and final states equal those of torch.nn."""
    time, input_size, hidden = 28, 9, 32
    stack = make_stack(
        case.kind,
        input_size=input_size,
        dtype=torch.float32,
        hidden_size=hidden,
        direction=case.direction,
        num_layers=case.layers,
        bias=case.bias,
    )
    plain = same_as_torch(stack, case, input_size, hidden)
    lengths = [28, 1, 17, 5, 28, 12] if mixed else [time] * 6
    x = torch.randn(time, len(lengths), input_size, generator=torch.Generator().manual_seed(3))
    turn = reversed_within if case.direction == "reverse" else lambda tensor, _: tensor
    inputs = turn(x, lengths)
    if mixed:
        packed, states = plain(pack_padded_sequence(inputs, torch.tensor(lengths), enforce_sorted=False))
        expected, _ = pad_packed_sequence(packed, total_length=time)
    else:
        expected, states = plain(inputs)
    outputs, _, finals = stack(x, torch.tensor(lengths) if mixed else None)
    assert torch.equal(outputs, turn(expected, lengths))
    states = states if case.kind == "lstm" else (states,)
    halves = [state for layer in finals for state in layer]  # torch stacks them in this order too
    for part, expected_part in enumerate(states):
        assert torch.equal(torch.stack([state[part] for state in halves]), expected_part)


def test_gru_reset_before_has_no_fused_kernel() -> None:
    with pytest.raises(zoo.SpecError, match=r"architecture\.implementation: gru .* no fused kernel"):
        make_stack("gru_before", implementation="fused")


@pytest.mark.parametrize("kind", KINDS)
def test_auto_is_fused_where_a_kernel_exists(kind: str) -> None:
    stack = make_stack(kind, implementation="auto", num_layers=2)
    assert [layer.fused for layer in stack.ordered_layers] == [KINDS[kind].has_kernel] * 2
    assert [layer.fused for layer in make_stack(kind, num_layers=2).ordered_layers] == [KINDS[kind].has_kernel] * 2


# --- lengths and states ---------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("lengths", [FULL_LENGTHS, SHORT_LENGTHS], ids=["full", "short"])
def test_padding_changes_nothing(case: Case, implementation: str, lengths: list[int]) -> None:
    """In a batch padded with NaN each sequence gives the same results and gradients as alone."""
    stack, clean = case.stack(implementation), Problem.of(case, lengths)
    padding = torch.arange(TIME)[:, None] >= torch.tensor(lengths)
    problem = replace(clean, x=clean.x.masked_fill(padding[:, :, None], float("nan")))
    together, slopes = run(stack, problem), gradients(stack, problem)

    assert torch.equal(together["outputs"][padding], torch.zeros_like(together["outputs"][padding]))
    assert torch.equal(slopes["x"][padding], torch.zeros_like(slopes["x"][padding]))
    summed: dict[str, Tensor] = {}
    for index, length in enumerate(lengths):
        alone, row = clean.alone(index), slice(index, index + 1)
        parts = {name: value[row] for name, value in together.items() if name != "outputs"}
        assert_close({"outputs": together["outputs"][:length, row], **parts}, run(stack, alone), case)
        for name, slope in gradients(stack, alone).items():
            if name == "x":
                assert_close({name: slopes[name][:length, row]}, {name: slope}, case)
            elif name.startswith("state"):
                assert_close({name: slopes[name][row]}, {name: slope}, case)
            else:
                summed[name] = summed.get(name, torch.zeros_like(slope)) + slope
    assert_close({name: slopes[name] for name in summed}, summed, case)


@pytest.mark.parametrize(
    ("case", "implementation"), [way for way in WAYS if way[0].direction != "bidirectional"], ids=str
)
def test_final_state_continues_a_sequence(case: Case, implementation: str) -> None:
    """Two parts, the second from the final state of the first, give the same as the whole sequence."""
    stack, problem = case.stack(implementation), Problem.of(case)
    first, second = problem.x[:3], problem.x[3:]
    with torch.no_grad():
        whole, _, finals = stack(problem.x)
        if case.direction == "forward":
            head, _, between = stack(first)
            tail, _, ends = stack(second, None, between)
        else:
            tail, _, between = stack(second)
            head, _, ends = stack(first, None, between)
    assert_close(
        {"outputs": torch.cat([head, tail]), **named_states(ends)}, {"outputs": whole, **named_states(finals)}, case
    )


# --- dropout --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("implementation", ["fused", "cell"])
@pytest.mark.parametrize("layers", [1, 3])
def test_dropout_acts_between_layers_in_training_only(implementation: str, layers: int) -> None:
    case = Case("lstm", "bidirectional", layers, bias=True)
    stack, plain = case.stack(implementation, dropout=0.5), case.stack(implementation)
    x = Problem.of(case).x
    entered: list[Tensor] = []
    left: list[Tensor] = []
    for layer in stack.ordered_layers:
        layer.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
        layer.register_forward_hook(lambda _, __, result: left.append(result[0]))

    stack.train()
    outputs, _, _ = stack(x)
    assert torch.equal(entered[0], x)
    for before, after in zip(left, entered[1:], strict=False):
        dropped = after == 0
        assert 0 < int(dropped.sum()) < dropped.numel()
        assert torch.equal(after, torch.where(dropped, 0.0, 2 * before))  # dropout 0.5 doubles the values that remain
    assert len(entered) == layers
    assert torch.equal(outputs, left[-1])

    stack.eval()
    assert torch.equal(stack(x)[0], plain(x)[0])
