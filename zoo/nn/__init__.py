"""Parts of a model: cell, recurrent layers and stack, encoder, pooling, head, readout, and the model itself.

Imports `zoo.data` and the modules of `zoo` itself; imported by every room from `zoo.tasks` up.
"""
