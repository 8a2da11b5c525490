"""Small modules after well-known shapes, beside ``torch.onnx``: ``python -m tests.modules``.

`tests.modules.catalogue` lists them; ``text.py``, ``signals.py`` and ``series.py`` have their classes, beside those of
`tests.exporters.module_nets`. ``table.py`` measures, ``wrong.py`` makes files that must not pass.
"""
