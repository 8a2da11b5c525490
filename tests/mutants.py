"""Deliberate faults of an export, each put into an exported file of a small trained run.

The file's seal is renewed after a fault, so that the comparison of numbers has to find it; `BITS` are the faults that
are too small for any comparison, and keep the old seal. ``python -m tests.mutants`` prints the table.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from tests.command import Outcome, run_zoo
from tests.runs import build_exported_run
from zoo.plugins import load_registry

RUNS: Mapping[str, tuple[str, ...]] = {
    "rnn": ("architecture.direction=reverse", "architecture.pooling=max"),
    "lstm": ("architecture.num_layers=3",),
    "gru": ("architecture.num_layers=2", "architecture.direction=bidirectional"),
    "bilstm": ("architecture.num_layers=2", "architecture.pooling=mean"),
}
"""The runs that are altered: an architecture, and what is changed of its spec."""


class Graph:
    """A model file with its nodes and weights by name.

    Args:
        model: altered in place.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model, self.graph = model, model.graph

    def node(self, name: str) -> NodeProto:
        found: NodeProto
        (found,) = [node for node in self.graph.node if node.name == name]
        return found

    def attribute(self, name: str, **values: Any) -> None:
        """Set attributes of a node."""
        node = self.node(name)
        kept = [attribute for attribute in node.attribute if attribute.name not in values]
        del node.attribute[:]
        node.attribute.extend([*kept, *(helper.make_attribute(key, value) for key, value in values.items())])

    def weight(self, name: str) -> NDArray[Any]:
        tensor = next(tensor for tensor in self.graph.initializer if tensor.name == name)
        return numpy_helper.to_array(tensor).copy()

    def set(self, name: str, array: NDArray[Any]) -> None:
        """Give a weight other values, or make a new one."""
        kept = [tensor for tensor in self.graph.initializer if tensor.name != name]
        del self.graph.initializer[:]
        self.graph.initializer.extend([*kept, numpy_helper.from_array(np.asarray(array, order="C"), name)])

    def insert(self, after: str, *nodes: NodeProto) -> None:
        """Put nodes behind another one."""
        order = list(self.graph.node)
        place = 1 + next(index for index, node in enumerate(order) if node.name == after)
        del self.graph.node[:]
        self.graph.node.extend([*order[:place], *nodes, *order[place:]])

    def remove(self, name: str) -> None:
        self.graph.node.remove(self.node(name))


def blocks(array: NDArray[Any], order: list[int], axis: int = 1) -> NDArray[Any]:
    """Gate blocks, as many as ``order`` has entries, in another order."""
    parts = np.split(array, len(order), axis)
    return np.concatenate([parts[index] for index in order], axis)


# --- weights --------------------------------------------------------------------------------------------------------


def swap_gates_of_weights(graph: Graph) -> None:
    """iofc -> torch's ifco, in W and R alike."""
    for part in "WR":
        graph.set(f"layer_1/lstm/{part}", blocks(graph.weight(f"layer_1/lstm/{part}"), [0, 2, 3, 1]))


def swap_gates_of_recurrent_weights(graph: Graph) -> None:
    graph.set("layer_0/gru/R", blocks(graph.weight("layer_0/gru/R"), [1, 0, 2]))


def swap_gates_of_biases(graph: Graph) -> None:
    graph.set("layer_1/lstm/B", blocks(graph.weight("layer_1/lstm/B"), [0, 2, 3, 1, 4, 6, 7, 5]))


def drop_bias(graph: Graph) -> None:
    del graph.node("layer_1/lstm").input[3:]


def drop_recurrent_bias(graph: Graph) -> None:
    bias = graph.weight("layer_0/gru/B")
    bias[:, bias.shape[1] // 2 :] = 0
    graph.set("layer_0/gru/B", bias)


def swap_halves_of_bias(graph: Graph) -> None:
    """Of a GRU: its candidate adds the input bias outside the reset gate and the recurrent one inside."""
    graph.set("layer_0/gru/B", blocks(graph.weight("layer_0/gru/B"), [1, 0]))


def swap_halves_of_lstm_bias(graph: Graph) -> None:
    """Of an LSTM both are added: the same function."""
    graph.set("layer_0/lstm/B", blocks(graph.weight("layer_0/lstm/B"), [1, 0]))


def swap_layers(graph: Graph) -> None:
    first, second = graph.node("layer_1/lstm"), graph.node("layer_2/lstm")
    for place in (1, 2, 3):
        first.input[place], second.input[place] = second.input[place], first.input[place]


def swap_directions(graph: Graph) -> None:
    for part in "WRB":
        graph.set(f"layer_1/gru/{part}", graph.weight(f"layer_1/gru/{part}")[::-1])


def permute_labels(graph: Graph) -> None:
    """Two rows of the head change places: 3 is answered for 8."""
    for part in ("weight", "bias"):
        rows = graph.weight(f"head/{part}")
        rows[[3, 8]] = rows[[8, 3]]
        graph.set(f"head/{part}", rows)


def move(name: str, by: float) -> Callable[[Graph], None]:
    """One number of a weight."""

    def move_one(graph: Graph) -> None:
        weights = graph.weight(name)
        weights.flat[1] += by
        graph.set(name, weights)

    return move_one


def round_to_tf32(graph: Graph) -> None:
    """Recurrent weights to 10 bits of significand, ties to even."""
    for name in ("layer_0/gru/R", "layer_1/gru/R"):
        bits = graph.weight(name).view(np.uint32)
        rounded = (bits + 0x0FFF + ((bits >> 13) & 1)) & np.uint32(0xFFFFE000)
        graph.set(name, rounded.view(np.float32))


def flip_bit(bit: int) -> Callable[[Graph], None]:
    """Of one recurrent weight; 0 is the lowest of the significand, 23 the lowest of the exponent, 31 the sign."""

    def flip(graph: Graph) -> None:
        weights = graph.weight("layer_0/gru/R")
        weights.view(np.uint32)[0, 0, 1] ^= np.uint32(1 << bit)
        graph.set("layer_0/gru/R", weights)

    return flip


# --- operators ------------------------------------------------------------------------------------------------------


def flip_linear_before_reset(graph: Graph) -> None:
    graph.attribute("layer_0/gru", linear_before_reset=0)


def flip_direction(graph: Graph) -> None:
    graph.attribute("layer_1/lstm", direction="reverse")


def harden_activation(graph: Graph) -> None:
    graph.attribute("layer_1/lstm", activations=["HardSigmoid", "Tanh", "Tanh"])


def couple_gates(graph: Graph) -> None:
    graph.attribute("layer_1/lstm", input_forget=1)


def clip_cell(graph: Graph) -> None:
    graph.attribute("layer_0/rnn", clip=1.0)


def misalign_reverse(graph: Graph) -> None:
    """The reverse half of layer 0 comes one step late, the last step first."""
    node = graph.node("layer_0/lstm")
    node.output[0] = "aligned"
    graph.set("starts", np.array([1]))
    graph.set("ends", np.array([2**31]))
    graph.set("zero", np.array([0]))
    graph.set("one", np.array([1]))
    graph.insert(
        "layer_0/lstm",
        helper.make_node("Split", ["aligned"], ["ahead", "back"], "split", axis=1, num_outputs=2),
        helper.make_node("Slice", ["back", "starts", "ends", "zero"], ["rest"], "rest"),
        helper.make_node("Slice", ["back", "zero", "one", "zero"], ["start"], "start"),
        helper.make_node("Concat", ["rest", "start"], ["late"], "late", axis=0),
        helper.make_node("Concat", ["ahead", "late"], ["layer_0/lstm:0"], "misaligned", axis=1),
    )


def start_elsewhere(graph: Graph) -> None:
    """Initial states of 0.01 in place of zero."""
    graph.set("value", np.array(0.01, np.float32))
    graph.insert(
        "to_time_major",
        helper.make_node("Shape", ["to_time_major:0"], ["batch"], "batch", start=1, end=2),
        helper.make_node("Concat", ["directions", "batch", "hidden"], ["state_shape"], "state_shape", axis=0),
        helper.make_node("Expand", ["value", "state_shape"], ["state"], "state"),
    )
    graph.set("directions", np.array([1]))
    graph.set("hidden", np.array([12]))
    graph.node("layer_0/lstm").input.extend(["", "state"])


# --- around the layers ----------------------------------------------------------------------------------------------


def drop_normaliser(graph: Graph) -> None:
    graph.node("to_time_major").input[0] = "x"
    for name in ("encoder/subtract_mean", "encoder/divide_by_std"):
        graph.remove(name)


def normalise_twice(graph: Graph) -> None:
    graph.insert(
        "encoder/divide_by_std",
        helper.make_node("Sub", ["encoder/divide_by_std:0", "encoder/mean"], ["centred"], "again/subtract"),
        helper.make_node("Div", ["centred", "encoder/std"], ["scaled"], "again/divide"),
    )
    graph.node("to_time_major").input[0] = "scaled"


def pool_last_step(graph: Graph) -> None:
    """``output[:, -1]`` in place of each direction's final state: the common mistake."""
    node = graph.node("layer_1/gru")
    final = node.output[1]
    node.output[0], node.output[1] = "outputs", ""
    graph.set("minus_one", np.array(-1))
    graph.insert("layer_1/gru", helper.make_node("Gather", ["outputs", "minus_one"], [final], "last_step", axis=0))


def pool_max_for_mean(graph: Graph) -> None:
    graph.node("pooling/mean").op_type = "ReduceMax"


def pool_mean_for_last(graph: Graph) -> None:
    node = graph.node("layer_2/lstm")
    final = node.output[1]
    node.output[0], node.output[1] = "outputs", ""
    graph.set("zero", np.array([0]))
    graph.insert("layer_2/lstm", helper.make_node("ReduceMean", ["outputs", "zero"], ["mean"], "mean", keepdims=0))
    graph.insert("mean", helper.make_node("Identity", ["mean"], [final], "as_final"))


def softmax_over_batch(graph: Graph) -> None:
    graph.attribute("readout/softmax", axis=0)


def log_softmax(graph: Graph) -> None:
    graph.node("readout/softmax").op_type = "LogSoftmax"


def exchange_outputs(graph: Graph) -> None:
    graph.graph.output[0].name, graph.graph.output[1].name = "probabilities", "logits"
    graph.node("head/linear").output[0] = "probabilities"
    graph.node("readout/softmax").input[0], graph.node("readout/softmax").output[0] = "probabilities", "logits"


def rename_output(graph: Graph) -> None:
    graph.graph.output[0].name = "scores"
    graph.node("head/linear").output[0] = graph.node("readout/softmax").input[0] = "scores"


def freeze(dimension: int, size: int) -> Callable[[Graph], None]:
    """One dimension of the input has one size, as in a trace."""

    def freeze_dimension(graph: Graph) -> None:
        graph.graph.input[0].type.tensor_type.shape.dim[dimension].dim_value = size

    return freeze_dimension


@dataclass(frozen=True)
class Mutant:
    """A fault, and the run whose file it is put into."""

    fault: str
    run: str
    mutate: Callable[[Graph], None]


MUTANTS = [
    Mutant("gate order of the weights swapped", "lstm", swap_gates_of_weights),
    Mutant("gate order of the recurrent weights swapped", "gru", swap_gates_of_recurrent_weights),
    Mutant("gate order of the biases swapped", "lstm", swap_gates_of_biases),
    Mutant("bias dropped", "lstm", drop_bias),
    Mutant("recurrent bias dropped", "gru", drop_recurrent_bias),
    Mutant("input and recurrent bias swapped", "gru", swap_halves_of_bias),
    Mutant("linear_before_reset flipped", "gru", flip_linear_before_reset),
    Mutant("layer order wrong", "lstm", swap_layers),
    Mutant("forward and reverse weights swapped", "gru", swap_directions),
    Mutant("direction flipped", "lstm", flip_direction),
    Mutant("reverse direction misaligned by one", "bilstm", misalign_reverse),
    Mutant("initial state of 0.01", "lstm", start_elsewhere),
    Mutant("hard sigmoid for sigmoid", "lstm", harden_activation),
    Mutant("input and forget gate coupled", "lstm", couple_gates),
    Mutant("cell clipped at 1", "rnn", clip_cell),
    Mutant("normaliser missing", "gru", drop_normaliser),
    Mutant("normaliser twice", "rnn", normalise_twice),
    Mutant("last step for the final states", "gru", pool_last_step),
    Mutant("mean for the final state", "lstm", pool_mean_for_last),
    Mutant("maximum for the mean", "bilstm", pool_max_for_mean),
    Mutant("two labels exchanged", "rnn", permute_labels),
    Mutant("softmax over the batch", "gru", softmax_over_batch),
    Mutant("logarithm of the probabilities", "gru", log_softmax),
    Mutant("outputs exchanged", "gru", exchange_outputs),
    Mutant("output renamed", "gru", rename_output),
    Mutant("batch frozen at 1", "gru", freeze(0, 1)),
    Mutant("time frozen at 8", "gru", freeze(1, 8)),
    Mutant("one weight of the head off by 1e-4", "gru", move("head/weight", 1e-4)),
    Mutant("one recurrent weight off by 1e-3", "gru", move("layer_0/gru/R", 1e-3)),
    Mutant("recurrent weights rounded to TF32", "gru", round_to_tf32),
    *(Mutant(f"bit {bit} of one weight flipped", "gru", flip_bit(bit)) for bit in (31, 23, 20)),
]
"""The comparison of numbers finds these."""

BITS = [Mutant(f"bit {bit} of one weight flipped, seal kept", "gru", flip_bit(bit)) for bit in (0, 1)]
"""The seal alone finds these: the outputs move by less than a correct program's may."""

EQUIVALENT = [
    Mutant("nothing", "gru", lambda _: None),
    Mutant("input and recurrent bias of an LSTM swapped", "lstm", swap_halves_of_lstm_bias),
]
"""No faults: these compute the same function, and pass."""


def build_runs(folder: Path) -> dict[str, Path]:
    """Train and export what is to be altered."""
    return {name: build_exported_run(folder, name, *settings, lowering="native") for name, settings in RUNS.items()}


def apply(mutant: Mutant, runs: Mapping[str, Path], folder: Path, *, renew_seal: bool) -> Path:
    """Copy the mutant's run into ``folder`` and put the fault into its file."""
    run = folder / mutant.run
    shutil.copytree(runs[mutant.run], run)
    path = run / "onnx" / "model.onnx"
    model = onnx.load(path)
    mutant.mutate(Graph(model))
    onnx.save(model, path)
    if renew_seal:
        load_registry().exporter("onnx").annotate(path, {})
    return run


def check(run: Path) -> tuple[Outcome, dict[str, Any]]:
    """``zoo check`` on the CPU: what it says, and the report that it leaves."""
    outcome = run_zoo("check", run, "--provider", "cpu")
    report: dict[str, Any] = json.loads((run / "onnx" / "parity.json").read_text())
    return outcome, report


def over_budget(report: Mapping[str, Any]) -> float:
    """The largest error in units of its budget; infinite where a gate was not passed."""
    outputs = [output["over_budget"] for result in report["providers"] for output in result["outputs"]]
    return max((np.inf if over is None else over for over in outputs), default=np.inf)


def main() -> None:
    """Print what finds each fault."""
    print("| fault | run | largest error / budget | exit code | found by |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        runs = build_runs(Path(name) / "runs")
        for number, mutant in enumerate([*MUTANTS, *BITS, *EQUIVALENT]):
            run = apply(mutant, runs, Path(name) / str(number), renew_seal=mutant not in BITS)
            outcome, report = check(run)
            reason = report["reasons"][0].replace(str(run), "…") if report["reasons"] else "nothing: it is no fault"
            print(f"| {mutant.fault} | {mutant.run} | {over_budget(report):.3g} | {outcome.exit_code} | {reason} |")


if __name__ == "__main__":
    main()
