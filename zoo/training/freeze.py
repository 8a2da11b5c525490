"""Parameters that a training leaves as they are."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from zoo.errors import SpecError
from zoo.nn.model import Model

SHOWN = 12
"""Largest number of names that a message lists."""


def freeze(model: Model, prefixes: Sequence[str]) -> tuple[str, ...]:
    """Exclude parameters from training: they get no gradient, no update and no weight decay.

    Args:
        model: changed in place.
        prefixes: names of parameters, or beginnings of names that end before a dot, such as ``encoder`` and
            ``stack.layers.0``.

    Returns:
        The names of the frozen parameters, in the model's order.

    Raises:
        SpecError: a prefix fits no parameter, or no parameter is left to train.
    """
    parameters = dict(model.named_parameters())
    for prefix in prefixes:
        if not any(_fits(name, prefix) for name in parameters):
            parts = {name.rsplit(".", count)[0] for name in parameters for count in range(name.count(".") + 1)}
            close = get_close_matches(prefix, sorted({*parts, *parameters}), 1)
            guess = f" (did you mean {close[0]!r}?)" if close else ""
            more = f" and {len(parameters) - SHOWN} more" if len(parameters) > SHOWN else ""
            raise SpecError(
                f"training.freeze: {prefix!r} is the beginning of no parameter{guess}; parameters: "
                f"{', '.join([*parameters][:SHOWN])}{more}"
            )
    frozen = tuple(name for name in parameters if any(_fits(name, prefix) for prefix in prefixes))
    if len(frozen) == len(parameters):
        raise SpecError("training.freeze: freezes every parameter, so that nothing is trained; leave a part out")
    for name in frozen:
        parameters[name].requires_grad_(False)
    return frozen


def _fits(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")
