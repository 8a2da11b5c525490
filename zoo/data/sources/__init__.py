"""The built-in data sources, one per module; ``table`` and ``text`` share helpers for tables.

They are registered through entry points, like those of any other plugin, and import only the public names of `zoo`.
"""
