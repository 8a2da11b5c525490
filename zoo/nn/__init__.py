"""What a model is made of: the cell, the one place that runs it over time, encoder, pooling, head, readout, model.

Imports `zoo.data` and the modules of `zoo` itself; imported by every room from `zoo.tasks` up.
"""
