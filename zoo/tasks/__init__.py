"""The contract of a task (head, loss, metrics), and the tasks that come with the core, one a file.

Imports `zoo.nn` and `zoo.data`. The tasks themselves enter through entry points, as other people's do, and import only
the public names of `zoo`.
"""
