"""Text from a language model, one character at a time, without torch; with torch: `zoo.jobs.sample_torch`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.signature import Signature
from zoo.data.text_ids import text_ids
from zoo.errors import RunError, UsageError
from zoo.runtime import OnnxModel

TASK = "language_modelling"

Step = Callable[[int], NDArray[np.float32]]
"""Token id -> scores (labels,) of the next character, given this token and all tokens of the calls before."""


@dataclass(frozen=True)
class LanguageModel:
    """A model that predicts the next character, before its first step."""

    signature: Signature
    """Vocabulary and labels of the model."""
    step: Step
    """Runs one step and keeps the states for the next."""


def streaming_file(run: Path) -> Path:
    """Return the path of a run's ONNX file for streaming, which need not exist.

    Args:
        run: the run's folder.
    """
    return run / "onnx" / "model.stream.onnx"


def onnx_model(run: Path) -> LanguageModel:
    """Return a run's language model in ONNX Runtime.

    Args:
        run: the run's folder.

    Raises:
        RunError: where the run has no file for streaming, the file was altered, or the model is not a language model
            of characters.
    """
    path = streaming_file(run)
    if not path.is_file():
        raise RunError(
            f"{run}: has no onnx/{path.name}; 'zoo export --onnx --streaming {run}' makes it; or add --through torch"
        )
    model = OnnxModel(path, threads=1)  # a step is too little work for more threads
    try:
        task = json.loads(model.metadata["spec"])["task"]["name"]
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: contains no spec, so 'zoo export' did not write it; export the run again") from error
    require_language_model(task, model.signature, run)
    stream = model.stream()
    return LanguageModel(model.signature, lambda token: stream.push(np.array([[token]]))["logits"][0, 0])


def require_language_model(task: str, signature: Signature, run: Path) -> None:
    """Raise a `RunError` unless the model predicts the next character.

    Args:
        task: name of the run's task.
        signature: signature of the run's data.
        run: the run's folder, for the message.

    Raises:
        RunError: where the task is another, or the tokens are not characters.
    """
    if task != TASK or signature.tokenizer != "characters":
        of = f" of {signature.tokenizer}" if signature.tokenizer else ""
        raise RunError(
            f"{run}: is a model for {task}{of}, which generates no text; name a run with task.name={TASK} on data.name="
            "characters"
        )


def sample(model: LanguageModel, prompt: str, *, length: int, temperature: float, seed: int) -> Iterator[str]:
    """Generate ``length`` characters after ``prompt``, and yield each as soon as it is drawn.

    A character is drawn by inverting the cumulative distribution of the softmax of the scores at a uniform random
    number. Equal scores and an equal seed give the same text. ONNX Runtime and torch round differently, which moves the
    bounds between characters by about 1e-7: a random number between the two positions of a bound, or two equal scores
    at temperature 0, give different characters, and the texts differ from there on.

    Args:
        model: the language model, before its first step.
        prompt: the text to continue. When empty, the model starts after a newline, or after the first character of a
            vocabulary without one.
        length: number of characters to generate.
        temperature: divisor of the scores, at least 0. Below 1 probable characters become more probable; at 0 the most
            probable character is always taken.
        seed: seed of the random numbers, one for each character.

    Yields:
        One character at a time.

    Raises:
        DataError: where the model does not know a character of the prompt.
        UsageError: where the temperature is negative or not finite.
        RunError: where the model's scores are not finite.
    """
    if not (isfinite(temperature) and temperature >= 0):
        raise UsageError(f"--temperature {temperature:g}: must be 0 or more; 0 takes the most probable character")
    ids = model.signature.ids
    # Tokens for unknown or masked characters, such as <unk>, have several characters and are never generated.
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
    """Yield the drawn characters after feeding ``tokens`` to the model."""
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
    """Draw an index from the softmax of ``scores`` at a temperature.

    Args:
        scores: (n,) finite or minus infinity, not all of them minus infinity.
        temperature: divisor of the scores, at least 0; at 0 the index of the largest score is returned.
        generator: gives one random number, unless the temperature is 0.

    Raises:
        RunError: where the largest score is not finite.
    """
    highest = scores.max()
    if not np.isfinite(highest):
        raise RunError("the model's scores are not finite; train it again")
    if temperature == 0:
        return int(scores.argmax())
    with np.errstate(over="ignore"):  # at a temperature near 0 all but the highest become minus infinity
        ends = np.exp((scores - highest) / temperature).cumsum()
    index = np.searchsorted(ends, generator.random() * ends[-1], side="right")
    return int(min(index, np.searchsorted(ends, ends[-1])))  # the product may round up to the end of the range
