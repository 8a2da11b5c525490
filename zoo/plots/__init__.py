"""Pictures as PNG files, one module for each kind; `zoo.jobs.pictures` chooses those of a run.

Imports `zoo.training` and the rooms below it, and the results of jobs that it draws as types only. Imported by
`zoo.jobs`, `zoo.report` and `zoo.cli`.
"""
