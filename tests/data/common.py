"""Helpers for the tests of data sources and of readers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

import zoo

rewrites_files = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""For a test whose examples all write the same file in ``tmp_path``: the speed of the disk is not tested."""


def parts(dataset: zoo.Dataset) -> list[zoo.Split]:
    return [dataset.train, dataset.validation, dataset.test]


def error_of(action: Callable[[], object]) -> str:
    """Return the message of the `DataError` that an action raises, after checking that it is one line."""
    with pytest.raises(zoo.DataError) as caught:
        action()
    message = str(caught.value)
    assert message.splitlines() == [message]
    return message
