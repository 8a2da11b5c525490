"""Arguments that several functions of the library take: choices, providers, and the seed of a proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zoo.errors import UsageError
from zoo.proof.cases import Extent
from zoo.proof.prove import MODES, ProviderRequest


def require_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Check that an argument is one of the choices.

    Args:
        name: of the argument.
        value: of the argument.
        choices: what it may be.

    Raises:
        UsageError: where it is another value.
    """
    if value not in choices:
        raise UsageError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def wanted_providers(providers: Iterable[str], required: Iterable[str]) -> ProviderRequest:
    """Return the providers to prove on: those chosen and those required, or all where none is chosen.

    Args:
        providers: those chosen.
        required: those that must be able to run here.

    Raises:
        UsageError: where there is no such provider.
    """
    chosen, needed = tuple(providers), tuple(required)
    named = tuple(dict.fromkeys((*chosen, *needed)))
    for name in named:
        require_choice("providers", name, tuple(MODES))
    return ProviderRequest(named if chosen else tuple(MODES), named, needed)


def extent_of(seed: int | None, thorough: bool) -> Extent:
    """Return how many inputs a proof draws, and from which seed.

    Args:
        seed: an integer, or None for one that follows from the file.
        thorough: whether to draw ten times as many shapes.

    Raises:
        UsageError: where the seed is no integer from 0 to 2**64 - 1.
    """
    if seed is not None and not (isinstance(seed, int) and 0 <= seed < 2**64):
        raise UsageError(f"seed: expected an integer from 0 to 2**64 - 1, got {seed!r}")
    return Extent(seed, thorough)
