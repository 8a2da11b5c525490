"""The jobs of the commands, one per file, as functions for programs.

Imports every room below (`zoo.plots`, `zoo.matrix`, `zoo.proof`, …); imported by `zoo.report`, `zoo.library` and
`zoo.cli`.
"""
