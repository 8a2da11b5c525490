"""nn.RNN, nn.LSTM and nn.GRU as stacks of cells and back, and as drop-ins inside any module."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import zoo

TIME, BATCH, INPUT, HIDDEN, PROJECTED = 6, 5, 3, 4, 2
TOLERANCE = 1e-12
"""Both compute in float64 with weights and values of about 1, some hundred roundings of 1e-16 deep."""
KINDS: dict[str, tuple[Callable[..., nn.RNNBase], dict[str, Any]]] = {
    "tanh": (nn.RNN, {}),
    "relu": (nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (nn.LSTM, {}),
    "lstm_projected": (nn.LSTM, {"proj_size": PROJECTED}),
    "gru": (nn.GRU, {}),
}
OPTIONS = [
    {"num_layers": layers, "bidirectional": both, "bias": bias, "batch_first": first}
    for layers, both, bias, first in product((1, 3), (False, True), (True, False), (False, True))
]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))


def make(kind: str, **options: Any) -> nn.RNNBase:
    torch.manual_seed(0)
    module, more = KINDS[kind]
    return module(INPUT, HIDDEN, dtype=torch.float64, **more, **options)


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def states(module: nn.RNNBase, *batch: int) -> Any:
    """Return initial states as the module takes them."""
    rows = module.num_layers * (2 if module.bidirectional else 1)
    h = draw(rows, *batch, module.proj_size or HIDDEN)
    return (h, draw(rows, *batch, HIDDEN)) if isinstance(module, nn.LSTM) else h


def tensors(result: Any) -> Iterator[Tensor]:
    """Yield the tensors of a result in order; of a packed sequence all four."""
    if isinstance(result, Tensor):
        yield result
    elif result is not None:
        for part in result:
            yield from tensors(part)


def assert_equal(actual: Any, expected: Any) -> None:
    assert type(actual) is type(expected)
    for own, other in zip(tensors(actual), tensors(expected), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=TOLERANCE)


@every_kind
@every_option
def test_the_stack_equals_the_module_and_gives_it_back(kind: str, options: dict[str, Any]) -> None:
    module = make(kind, dropout=0.25 if options["num_layers"] > 1 else 0.0, **options).eval()
    stack = zoo.from_torch(module)
    x = draw(TIME, BATCH, INPUT)
    expected = module(x.transpose(0, 1))[0].transpose(0, 1) if module.batch_first else module(x)[0]
    assert stack.dropout.p == module.dropout
    assert not stack.training
    for fused in (True, False):
        for layer in stack.ordered_layers:
            assert layer.fused
            layer.fused = fused
        assert_equal(stack(x).outputs, expected)
        for layer in stack.ordered_layers:
            layer.fused = True
    back = zoo.to_torch(stack, batch_first=module.batch_first)
    assert repr(back) == repr(module)
    assert back.state_dict().keys() == module.state_dict().keys()
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in back.state_dict().items())


def test_nothing_is_shared() -> None:
    module = make("lstm")
    stack = zoo.from_torch(module)
    back = zoo.to_torch(stack)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.zero_()
    assert all(parameter.abs().max() > 0 for parameter in (*module.parameters(), *back.parameters()))


def test_a_stack_trains() -> None:
    stack = zoo.from_torch(make("lstm_projected", num_layers=2))
    stack(draw(TIME, BATCH, INPUT)).outputs.sum().backward()
    assert all(parameter.grad is not None for parameter in stack.parameters())


def test_stacks_of_plugins_become_modules() -> None:
    from tests.support.builders import make_stack

    stack = make_stack("lstm", input_size=3, hidden_size=4, direction="bidirectional", num_layers=2)
    module = zoo.to_torch(stack)
    x = draw(TIME, BATCH, 3)
    assert_equal(module(x)[0], stack(x).outputs)


def test_refusals() -> None:
    from tests.support.builders import make_stack

    with pytest.raises(zoo.UsageError, match=r"from_torch: expected an nn\.RNN, nn\.LSTM or nn\.GRU, got LSTMCell"):
        zoo.from_torch(nn.LSTMCell(3, 4))
    with pytest.raises(zoo.UsageError, match="to_torch: the layers of 'lstm' have the direction 'reverse' alone"):
        zoo.to_torch(make_stack("lstm", input_size=3, hidden_size=4, direction="reverse"))


class Calls(nn.Module):
    """Module that calls a layer in every way: batched, unbatched, packed in both orders, with and without states."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, lengths: Tensor, given: Any, row: Any) -> list[Any]:
        first, layer = self.layer.batch_first, self.layer
        in_order = lengths.sort(descending=True)[0]
        packed = pack_padded_sequence(x, lengths, first, enforce_sorted=False)
        sorted_packed = pack_padded_sequence(x, in_order, first)
        results = [layer(x), layer(x, given), layer(x[0], row), layer(packed), layer(packed, given)]
        return [*results, layer(sorted_packed, given), pad_packed_sequence(layer(packed)[0], first)]


@every_kind
@every_option
def test_drop_ins_take_every_call(kind: str, options: dict[str, Any]) -> None:
    net = Calls(make(kind, **options))
    x = draw(BATCH, TIME, INPUT) if net.layer.batch_first else draw(TIME, BATCH, INPUT)
    arguments = (x, torch.tensor([2, 6, 1, 4, 4]), states(net.layer, BATCH), states(net.layer))
    assert_equal(zoo.with_cells(net)(*arguments), net(*arguments))


def test_a_drop_in_is_the_module_but_for_its_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(make("gru", num_layers=2), nn.Linear(4, 1))
    drop_in = zoo.with_cells(net)
    layer = drop_in[0]  # type: ignore[index]
    assert isinstance(layer, nn.GRU)
    assert (layer.num_layers, layer.hidden_size) == (2, HIDDEN)
    layer.flatten_parameters()
    assert drop_in.state_dict().keys() == net.state_dict().keys()
    assert type(net[0]) is nn.GRU
    monkeypatch.setattr(torch._VF, "gru", None)
    x = draw(TIME, BATCH, INPUT)
    outputs = layer(x)[0]
    doubled = copy.deepcopy(layer)
    with torch.no_grad():
        for parameter in doubled.parameters():
            parameter.mul_(2)
    assert_equal(layer(x)[0], outputs)
    assert not torch.equal(doubled(x)[0], outputs)
    with pytest.raises(TypeError):
        net[0](x)


def test_it_moves_to_another_dtype() -> None:
    single = make("lstm").float()
    assert zoo.with_cells(single).double()(draw(TIME, BATCH, INPUT))[0].dtype == torch.float64


class OutputsOnly(nn.LSTM):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        outputs: Tensor = super().forward(x)[0]
        return outputs + 1


def test_a_subclass_keeps_its_own_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    module = OutputsOnly(INPUT, HIDDEN, dtype=torch.float64)
    x = draw(TIME, BATCH, INPUT)
    expected = module(x)
    drop_in = zoo.with_cells(module)
    monkeypatch.setattr(torch._VF, "lstm", None)
    assert isinstance(drop_in, OutputsOnly)
    assert_equal(drop_in(x), expected)


def test_computed_weights() -> None:
    module = weight_norm(make("lstm", bidirectional=True), "weight_hh_l0")
    x = draw(TIME, BATCH, INPUT)
    expected = module(x)[0]
    assert_equal(zoo.with_cells(module)(x)[0], expected)
    assert_equal(zoo.from_torch(module)(x).outputs, expected)


def test_layers_of_the_zoo_run_in_their_cells() -> None:
    from tests.support.builders import make_stack

    net = nn.ModuleDict({"stack": make_stack("lstm", input_size=3, hidden_size=4, implementation="fused")})
    inside = zoo.with_cells(net)["stack"]  # type: ignore[index]
    assert [layer.fused for layer in inside.ordered_layers] == [False]
    assert [layer.fused for layer in net["stack"].ordered_layers] == [True]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, h: (x[..., :2], h), "expected an input of 3 features, got 2"),
        (lambda x, h: (x, h[:, :1]), r"expected an initial state of size \(1, 5, 4\), got \(1, 1, 4\)"),
        (lambda x, h: (x, (h, h)), "expected 1 initial states, got 2"),
        (lambda x, h: (x[None], h), "Expected input to be 2D or 3D, got 4D"),
    ],
)
def test_wrong_arguments(change: Any, message: str) -> None:
    layer = zoo.with_cells(make("gru"))
    with pytest.raises((RuntimeError, ValueError), match=f"GRU: {message}"):
        layer(*change(draw(TIME, BATCH, INPUT), draw(1, BATCH, HIDDEN)))


def test_a_packed_sequence_keeps_its_order() -> None:
    layer = make("gru")
    packed = pack_padded_sequence(draw(TIME, BATCH, INPUT), torch.tensor([3, 3, 6, 3, 1]), enforce_sorted=False)
    result = zoo.with_cells(layer)(packed)[0]
    assert isinstance(result, PackedSequence)
    assert result.sorted_indices is packed.sorted_indices
    assert_equal(result, layer(packed)[0])
