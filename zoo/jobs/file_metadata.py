"""Metadata of an exported file: what an export writes, and in what a file's metadata differs from that.

Golden outputs may differ in their last bits, since machines and versions of torch sum in another order: an exact output
by its own budget, and a sensitivity by the factor `SPREAD` either way.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zoo.data.dataset import Split
from zoo.data.signature import Signature
from zoo.exporting.dissection import Difference
from zoo.exporting.exporter import ExportOptions
from zoo.files import json_safe
from zoo.jobs.precision import Trained
from zoo.parity import Array
from zoo.proof.golden_oracle import golden
from zoo.proof.prove import LOWERING, STEPS
from zoo.runtime.golden import PRECISION, Golden
from zoo.runtime.onnx_seal import SEAL
from zoo.spec.spec import Spec

SPREAD = 2.0
"""Factor by which a golden sensitivity may differ. It is the largest move over ten draws, and another machine or
version of torch rounds other numbers, so the largest move is another one. The budget has a factor of 8 for that."""
_GOLDEN, _SENSITIVITY = "golden_", "_sensitivity"
_DUE = "the run's export has"


def file_metadata(
    trained: Trained, sample: Split, options: ExportOptions, written_with: Mapping[str, str]
) -> dict[str, str]:
    """Return the metadata of a file before its proof, with its golden input and output.

    Args:
        trained: the run.
        sample: data of the run, in the user's units.
        options: those of the export.
        written_with: the versions at the export, as `zoo.versions.versions` gives them.
    """
    inputs = replace(sample, lengths=None) if options.streaming else sample
    example = golden(trained.model, inputs, options.steps, options.precision)
    return {
        "zoo_version": written_with.get("recurrent-zoo", "none"),
        "name": trained.spec.name,
        "spec": json.dumps(trained.spec.to_dict()),
        "signature": json.dumps(trained.task.signature.to_dict()),
        "versions": json.dumps(dict(written_with)),
        LOWERING: options.lowering,
        **({} if options.steps is None else {STEPS: str(options.steps)}),
        **({} if options.precision == "float32" else {PRECISION: options.precision}),
        **example.to_metadata(),
    }


def parity_entry(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata entry with the summary of a proof, which a file gets after its proof."""
    return {"parity": json.dumps(json_safe(dict(summary)))}


def completed(entries: Sequence[tuple[str, str]], spec: Spec) -> list[tuple[str, str]]:
    """Return a file's metadata in which spec and signature have the defaults of fields that its version did not have.

    Args:
        entries: name and text of each.
        spec: any spec of the installed plugins.
    """
    complete: dict[str, Callable[[Any], Any]] = {
        "spec": lambda value: (
            type(spec)
            .model_validate_json(json.dumps({**value, "data": {**type(spec.data).earlier, **value["data"]}}))
            .to_dict()
        ),
        "signature": lambda value: Signature.from_dict(value).to_dict(),
    }
    return [(name, _completed(text, complete[name]) if name in complete else text) for name, text in entries]


def _completed(text: str, complete: Callable[[Any], Any]) -> str:
    try:
        value = json.loads(text)
        full = json.dumps(complete(value))
    except (ValueError, TypeError, KeyError, AttributeError):
        return text  # it is compared as it is
    return text if json.loads(full) == value else full


def metadata_differences(entries: Sequence[tuple[str, str]], expected: Mapping[str, str]) -> Iterator[Difference]:
    """Yield the entries in which a file's metadata differs from that of a fresh export; its seal is no part of them.

    Args:
        entries: those of the file, name and text.
        expected: those of the fresh export.
    """
    actual = dict(entries)
    for name, count in Counter(name for name, _ in entries).items():
        if count > 1:
            yield _difference(name, f"occurs {count} times, {_DUE} it once")
    golden_names = [name for name in expected if name.startswith(_GOLDEN)]
    for name in dict.fromkeys([*expected, *actual]):
        if name == SEAL:
            continue
        if name not in actual:
            yield _difference(name, f"is missing, {_DUE} it")
        elif name not in expected:
            yield _difference(name, f"is {_short(actual[name])}, {_DUE} no such entry")
        elif name not in golden_names and (what := _text_difference(actual[name], expected[name])):
            yield _difference(name, what)
    if golden_names and all(name in actual for name in golden_names):
        yield from _golden_differences(actual, expected)


def _difference(name: str, what: str) -> Difference:
    return Difference(f"metadata {name}", "", what)


def _text_difference(text: str, due: str) -> str:
    """Return the difference of two entries, of JSON the first part that differs; empty if they are equal."""
    if text == due:
        return ""
    try:
        return _json_difference(json.loads(text), json.loads(due), "") or "is written in another way"
    except ValueError:
        return f"is {_short(text)}, {_DUE} {_short(due)}"


def _json_difference(value: Any, due: Any, place: str) -> str:
    """Return the first place where two JSON values differ, with both parts; empty if they are equal."""
    if isinstance(value, dict) and isinstance(due, dict):
        pairs = [(f"{place}.{key}" if place else key, value.get(key), due.get(key)) for key in {**due, **value}]
    elif isinstance(value, list) and isinstance(due, list) and len(value) == len(due):
        pairs = [(f"{place}[{index}]", *pair) for index, pair in enumerate(zip(value, due, strict=True))]
    else:
        same = type(value) is type(due) and value == due
        return "" if same else f"{place} is {_short(value)}, {_DUE} {_short(due)}".lstrip()
    return next(filter(None, (_json_difference(part, own, inner) for inner, part, own in pairs)), "")


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:40]} … ({len(text)} characters)"


def _golden_differences(actual: Mapping[str, str], expected: Mapping[str, str]) -> Iterator[Difference]:
    """Yield the golden arrays that differ."""
    outputs = [
        name.removeprefix(_GOLDEN).removesuffix(_SENSITIVITY) for name in expected if name.endswith(_SENSITIVITY)
    ]
    due = Golden.from_metadata(expected, outputs)
    try:
        own = Golden.from_metadata({**actual, PRECISION: expected.get(PRECISION, "float32")}, outputs)
    except ValueError as error:
        yield _difference("golden_*", f"cannot be read: {' '.join(str(error).split())}")
        return
    none = np.zeros(0)
    inputs = {"input": (own.x, due.x), "lengths": (own.lengths, due.lengths)}
    for name, (array, due_array) in inputs.items():
        first, second = (none if each is None else each for each in (array, due_array))
        if (first.dtype, first.shape, first.tobytes()) != (second.dtype, second.shape, second.tobytes()):
            yield _difference(f"{_GOLDEN}{name}", _array_difference(first, second))
    for name, output in due.expected.items():
        exact, sensitivity = own.expected[name].exact, own.expected[name].sensitivity
        if exact.shape != output.exact.shape or sensitivity.shape != output.sensitivity.shape:
            yield _difference(f"{_GOLDEN}{name}", f"has the shape {exact.shape}, {_DUE} {output.exact.shape}")
            continue
        budget = output.budget  # (time,), or (1,) for all numbers
        limit = budget.reshape(1, -1, *(1,) * (exact.ndim - 2)) if len(budget) > 1 else budget
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            far = ~((np.abs(exact - output.exact) <= limit) | (exact == output.exact))
        if far.any():
            yield _difference(f"{_GOLDEN}{name}", _array_difference(exact, output.exact, far))
        least, most = output.sensitivity / SPREAD, output.sensitivity * SPREAD
        if (far := ~((sensitivity >= least) & (sensitivity <= most))).any():
            what = _array_difference(sensitivity, output.sensitivity, far)
            yield _difference(f"{_GOLDEN}{name}{_SENSITIVITY}", what)


def _array_difference(array: Array, due: Array, different: Array | None = None) -> str:
    """Return the first place where two arrays differ, with both numbers; by default where they are not equal."""
    if array.dtype != due.dtype or array.shape != due.shape:
        return f"is {array.dtype} {array.shape}, {_DUE} {due.dtype} {due.shape}"
    different = array != due if different is None else different
    if not different.any():
        return "differs in bits that compare as equal"
    place = tuple(int(index) for index in np.argwhere(different)[0])
    return f"[{', '.join(map(str, place))}] is {array[place].item():.9g}, {_DUE} {due[place].item():.9g}"
