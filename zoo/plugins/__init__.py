"""Plugins: the hooks, the registry of the installed plugins, and the architectures that specs choose by name.

Imports `zoo.training` and the rooms below it; the rooms of specs and runs are above.
"""
