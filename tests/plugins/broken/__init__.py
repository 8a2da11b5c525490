"""Plugins that strangers get wrong, a mistake a module. `tests.plugins.test_plugins` says what must be said of each."""
