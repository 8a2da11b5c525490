"""Recordings: sequences of their own length from tables, folders and arrays, prepared alike for training and use.

``read*.py`` give `Recordings`, in which the steps of all recordings stand one after the other as columns;
``features.py`` turns columns into the features of a model by a form that the training part has fitted and the
signature keeps; ``targets.py``, ``parts.py`` and ``windows.py`` make the rest of a data set. None of them
imports torch.
"""
