"""From YAML to a checked spec: the strict reader, the schema, the faults of a spec, and the starter specs.

Imports `zoo.plugins` and the rooms below it; trains nothing and writes no run.
"""
