"""Training: the engine and its options, batches, progress and checkpoints, signals, groups of processes.

Imports `zoo.tasks`, `zoo.nn` and `zoo.data`; knows no spec, no run folder and no plugin.
"""
