"""``zoo.inspect_data``: look at the data of a spec from Python."""

from __future__ import annotations

from zoo.data.dataset import Dataset
from zoo.jobs.data import DataReport, run_data
from zoo.library.build import SpecLike, checked
from zoo.plugins.registry import load_registry
from zoo.spec.spec import Overrides


def inspect_data(spec: SpecLike, overrides: Overrides | None = None, *, data: Dataset | None = None) -> DataReport:
    """Look at the data of a spec without training, as ``zoo data`` does.

    Args:
        spec: the path of a YAML file, the name of a starter spec such as ``gru``, a spec as nested dictionaries, or
            ``run.spec`` of another run.
        overrides: fields to set, as in ``{"data.window": 48}``, or ``["data.window=48"]`` with values in YAML.
        data: sequences in memory in place of the spec's data; see `zoo.Dataset.from_arrays`.

    Returns:
        What the data contain and what is suspect; ``picture()`` draws it.

    Raises:
        SpecError: the spec has faults; ``faults`` lists all of them.
        DataError: the data cannot be read, or do not fit their signature.
        UsageError: an argument is invalid.
    """
    registry = load_registry()
    with checked(spec, overrides or (), registry, data) as (resolved, given):
        return run_data(resolved, registry, given)
