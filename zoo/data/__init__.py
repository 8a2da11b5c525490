"""Data sets, data sources, and readers that turn files into sequences, texts and arrays.

The lowest room: it imports only the modules of `zoo` itself. `zoo.runtime` reads its input through it without torch,
so `dataset` is the only module here that may import torch.
"""
