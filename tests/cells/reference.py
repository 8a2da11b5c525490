"""One step of each cell of `tests.cells` in NumPy, written from the equations: one sequence and one gate at a time.

A step takes the cell's parameters by name, x (input,) and the state, (n,) each, and returns the output and the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
State = tuple[Array, ...]
Parameters = Mapping[str, Array]
Step = Callable[[Parameters, Array, State], tuple[Array, State]]


def sigmoid(a: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-a))
    return result


def gates(p: Parameters, name: str, value: Array, count: int) -> list[Array]:
    """Apply to a value the affine map of each of ``count`` gates, whose weights are stacked in the first dimension."""
    each = np.split(p[f"{name}.weight"], count)
    biases = np.split(p.get(f"{name}.bias", np.zeros(len(p[f"{name}.weight"]))), count)
    return [weight @ value + bias for weight, bias in zip(each, biases, strict=True)]


def normalised(p: Parameters, name: str, value: Array) -> Array:
    centred = value - value.mean()
    result: Array = centred / np.sqrt((centred**2).mean() + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]
    return result


def peephole_lstm(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    h, c = state
    x_i, x_f, x_g, x_o = gates(p, "x2h", x, 4)
    h_i, h_f, h_g, h_o = gates(p, "h2h", h, 4)
    i = sigmoid(x_i + h_i + p["peepholes"][0] * c)
    f = sigmoid(x_f + h_f + p["peepholes"][1] * c)
    c = f * c + i * np.tanh(x_g + h_g)
    o = sigmoid(x_o + h_o + p["peepholes"][2] * c)
    h = o * np.tanh(c)
    return h, (h, c)


def lstmp(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    r, c = state
    x_i, x_f, x_g, x_o = gates(p, "x2h", x, 4)
    r_i, r_f, r_g, r_o = gates(p, "r2h", r, 4)
    c = sigmoid(x_f + r_f) * c + sigmoid(x_i + r_i) * np.tanh(x_g + r_g)
    r = p["projection.weight"] @ (sigmoid(x_o + r_o) * np.tanh(c))
    return r, (r, c)


def layer_norm_lstm(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    h, c = state
    of_x = normalised(p, "norm_x", p["x2h.weight"] @ x)
    of_h = normalised(p, "norm_h", p["h2h.weight"] @ h)
    i, f, o, g = np.split(of_x + of_h, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(normalised(p, "norm_c", c))
    return h, (h, c)


def mgu(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    (h,) = state
    x_f, x_h = gates(p, "x2h", x, 2)
    f = sigmoid(x_f + p["forget.weight"] @ h)
    h = (1 - f) * h + f * np.tanh(x_h + p["candidate.weight"] @ (f * h))
    return h, (h,)


def indrnn(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    h = np.maximum(p["x2h.weight"] @ x + p["x2h.bias"] + p["u"] * state[0], 0)
    return h, (h,)


def minimal_rnn(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    (h,) = state
    z = np.tanh(p["x2z.weight"] @ x + p["x2z.bias"])
    u = sigmoid(p["h2u.weight"] @ h + p["z2u.weight"] @ z + p["z2u.bias"])
    h = u * h + (1 - u) * z
    return h, (h,)


def cho_gru(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    (h,) = state
    x_r, x_z, x_h = gates(p, "x2h", x, 3)
    h_r, h_z = gates(p, "h2gates", h, 2)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    h = z * h + (1 - z) * np.tanh(x_h + p["h2h.weight"] @ (r * h))
    return h, (h,)


def cifg_lstm(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    h, c = state
    x_i, x_o, x_g = gates(p, "x2h", x, 3)
    h_i, h_o, h_g = gates(p, "h2h", h, 3)
    i = sigmoid(x_i + h_i)
    c = (1 - i) * c + i * np.tanh(x_g + h_g)
    h = sigmoid(x_o + h_o) * np.tanh(c)
    return h, (h, c)


def clockwork(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    fast, slow, t = state
    of_x = p["x2h.weight"] @ x + p["x2h.bias"]
    both = np.concatenate([fast, slow])
    fast = np.tanh(of_x[: len(fast)] + p["h2fast.weight"] @ both)
    if t[0] % 3 == 0:
        slow = np.tanh(of_x[len(fast) :] + p["slow2slow.weight"] @ slow)
    return np.concatenate([fast, slow]), (fast, slow, t + 1)


def ltc(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    (h,) = state
    tau, dt = np.exp(-p["rate"]), 1 / 3
    for _ in range(3):
        f = sigmoid(p["x2h.weight"] @ x + p["x2h.bias"] + p["h2h.weight"] @ h)
        h = (h + dt * f * p["target"]) / (1 + dt * (1 / tau + f))
    return h, (h,)


def cfc(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    s = np.tanh(p["x2s.weight"] @ x + p["x2s.bias"] + p["h2s.weight"] @ state[0])
    f, g, k = (p[f"{head}.weight"] @ s + p[f"{head}.bias"] for head in "fgk")
    h = sigmoid(-f) * np.tanh(g) + (1 - sigmoid(-f)) * np.tanh(k)
    return h, (h,)


def elman(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    h = sigmoid(p["x2h.weight"] @ x + p["x2h.bias"] + p["h2h.weight"] @ state[0])
    return sigmoid(p["h2y.weight"] @ h + p["h2y.bias"]), (h,)


def smoothing(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    h = state[0] + 0.25 * (x - state[0])
    return h, (h,)


def learned_start(p: Parameters, x: Array, state: State) -> tuple[Array, State]:
    h = np.tanh(p["x2h.weight"] @ x + p["x2h.bias"] + p["h2h.weight"] @ state[0])
    return h, (h,)


STEPS: Mapping[str, Step] = {
    step.__name__: step
    for step in (
        peephole_lstm,
        lstmp,
        layer_norm_lstm,
        mgu,
        indrnn,
        minimal_rnn,
        cho_gru,
        cifg_lstm,
        clockwork,
        ltc,
        cfc,
        elman,
        smoothing,
        learned_start,
    )
}
"""The steps by the names of `tests.cells.CELLS`."""


def start(p: Parameters, name: str, widths: tuple[int, ...]) -> State:
    """Return the initial state of a sequence: zeros, a count from zero, or the learned state."""
    if name == "learned_start":
        return (p["start"],)
    return tuple(np.zeros(width) for width in widths)
