"""The main job in Python: `zoo.build`, `zoo.load` and `zoo.Run`, without commands and without output.

Imports every room below (`zoo.jobs` does the work); imported by `zoo.cli`, whose commands call the same functions.
"""
