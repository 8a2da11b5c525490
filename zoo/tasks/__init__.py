"""The contract of a task (head, loss, metrics, baselines) and the built-in tasks, one per module.

Imports `zoo.nn` and `zoo.data`. The tasks are registered through entry points, like those of any other plugin, and
import only the public names of `zoo`.
"""
