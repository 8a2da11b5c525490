"""Faulty plugins, one mistake in each module; `tests.plugins.test_plugins` asserts the fault reported for each."""
