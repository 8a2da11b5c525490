"""Plugins: the hooks, the registry of what is installed, and the way from a name in a spec to an architecture.

Imports `zoo.training` and the rooms below it; everything that works with specs or runs stands above.
"""
