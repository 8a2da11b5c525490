"""The jobs, one a file: what each command does, for programs as well.

Imports every room below (`zoo.plots`, `zoo.matrix`, `zoo.proof`, …); imported by `zoo.report` and `zoo.cli`.
"""
