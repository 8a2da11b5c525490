"""The proof that an exported file computes what its model computes.

The modules in the order in which a proof uses them:

- ``cases``: inputs, and `SHAPES`.
- ``oracle``: exact results in float64 and their sensitivity to rounding; ``disturbed``: the arithmetic for the latter.
- ``expectations``: exact result and budget of every case; ``zoo.parity`` holds the rule of the budget.
- ``prove``: a file on each provider, compared with its expectations; ``streaming`` for a file that takes chunks.
- ``outcomes``: the verdict from all comparisons; ``observed`` is what a report records beside it.
- ``trace``: values inside a model, for `zoo.bisect`; ``golden_oracle`` and ``trained``: one input each, at export.
- ``module``: any module in place of a run's model; ``module_call``, ``module_checks``, ``module_inputs``,
  ``module_cases`` and ``module_oracle`` are its call, what is refused, inputs, sizes and exact results.

Imports `zoo.run`, `zoo.runtime` and the rooms below them; imported by `zoo.matrix`, `zoo.bisect` and `zoo.jobs`.
"""
