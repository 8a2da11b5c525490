"""From YAML to a checked spec: the strict reader, the schema, all faults at once, and the specs to start with.

Imports `zoo.plugins` and the rooms below it; trains nothing and writes no run.
"""
