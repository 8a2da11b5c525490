"""Text from a language model, one character at a time. Needs no torch; `zoo.jobs.sample_torch` does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.signature import Signature
from zoo.data.texts import text_ids
from zoo.errors import RunError, UsageError
from zoo.runtime import OnnxModel

TASK = "language_modelling"

Step = Callable[[int], NDArray[np.float32]]
"""A token's id -> the scores (labels,) of what follows it, given all the tokens before."""


@dataclass(frozen=True)
class LanguageModel:
    """A model that tells what follows, from its first step on."""

    signature: Signature
    step: Step


def streaming_file(run: Path) -> Path:
    """Where a run's file for ONNX Runtime stands, if it has one."""
    return run / "onnx" / "model.stream.onnx"


def onnx_model(run: Path) -> LanguageModel:
    """A run's model in ONNX Runtime.

    Raises:
        RunError: where it has not been exported so, the file is not whole, or it is no language model of characters.
    """
    path = streaming_file(run)
    if not path.is_file():
        raise RunError(
            f"{run}: has no onnx/{path.name}; 'zoo export --onnx --streaming {run}' makes it, or take --through torch"
        )
    model = OnnxModel(path, threads=1)  # one step is too little work for more
    try:
        task = json.loads(model.metadata["spec"])["task"]["name"]
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: carries no spec, so 'zoo export' did not write it; export the run again") from error
    require_language_model(task, model.signature, run)
    stream = model.stream()
    return LanguageModel(model.signature, lambda token: stream.push(np.array([[token]]))["logits"][0, 0])


def require_language_model(task: str, signature: Signature, run: Path) -> None:
    """Raise a `RunError` unless a run's task tells the next character."""
    if task != TASK or signature.tokenizer != "characters":
        of = f" of {signature.tokenizer}" if signature.tokenizer else ""
        raise RunError(
            f"{run}: is a model for {task}{of}, which writes no text; name a run with task.name={TASK} on data.name="
            "characters"
        )


def sample(model: LanguageModel, prompt: str, *, length: int, temperature: float, seed: int) -> Iterator[str]:
    """What the model writes after ``prompt``: ``length`` characters, each as soon as it is drawn.

    Without a prompt it begins as after a line's end, or after the vocabulary's first character.

    Args:
        temperature: what the scores are divided by: below 1 the probable becomes more so; 0 takes the most probable.
        seed: of the draws. The same seed gives the same text, whatever the scores come from, as long as they are equal:
            every character takes one number from 0 to 1, and the characters' probabilities stand end to end on that
            way. Two programs round differently, so that a border between two characters lies about 1e-7 to one side. A
            number that falls in between, or two equal scores at temperature 0, make another character, and all that
            follows differs then.

    Raises:
        DataError: where the model does not know a character of the prompt.
        UsageError: where the temperature is no number from 0 on.
        RunError: where the model's scores are no numbers.
    """
    if not (isfinite(temperature) and temperature >= 0):
        raise UsageError(f"--temperature {temperature:g}: must be 0 or more; 0 takes the most probable character")
    ids = model.signature.ids
    # What stands for unknown or hidden characters, such as <unk>, is longer than one and cannot be written.
    characters = [token for token in ids if len(token) == 1]
    start = prompt or ("\n" if "\n" in ids else characters[0])
    tokens = [int(token) for token in text_ids(start, model.signature, "--prompt")]
    return _drawn(model, ids, tokens, length, temperature, np.random.default_rng(seed))


def _drawn(
    model: LanguageModel,
    ids: Mapping[str, int],
    tokens: list[int],
    length: int,
    temperature: float,
    generator: np.random.Generator,
) -> Iterator[str]:
    labels = model.signature.labels
    usable = np.array([len(label) == 1 and label in ids for label in labels])
    for token in tokens[:-1]:
        model.step(token)
    token = tokens[-1]
    for _ in range(length):
        scores = np.where(usable, model.step(token).astype(np.float64), -np.inf)
        label = labels[draw(scores, temperature, generator)]
        yield label
        token = ids[label]


def draw(scores: NDArray[np.float64], temperature: float, generator: np.random.Generator) -> int:
    """An index of the scores (n,), some of which are minus infinity, drawn from their softmax at a temperature."""
    highest = scores.max()
    if not np.isfinite(highest):
        raise RunError("the model's scores are no numbers; train it again")
    if temperature == 0:
        return int(scores.argmax())
    with np.errstate(over="ignore"):  # at a temperature near 0 all but the highest are minus infinity
        ends = np.exp((scores - highest) / temperature).cumsum()
    place = np.searchsorted(ends, generator.random() * ends[-1], side="right")
    return int(min(place, np.searchsorted(ends, ends[-1])))  # the product above may round up to the very end
