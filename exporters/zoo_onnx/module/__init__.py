"""Export of any torch.nn.Module with recurrent layers inside, in four steps.

1. ``recording.py`` and ``packed.py``: in a copy of the module each recurrent layer writes one node of a private domain
   when it is traced, and packed sequences become padded ones with lengths.
2. ``trace.py``: torch.export and torch.onnx trace the copy; ``sizes.py`` and ``effects.py`` refuse code
   that freezes a size or keeps a value.
3. ``lower.py``: each private node is replaced by the nodes that `zoo_onnx.stack` writes for the layer.
4. ``export.py``: names, checks and the file.
"""
