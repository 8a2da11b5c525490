"""Files that a build leaves on disk: the run folder, its model card, its lock, and exported files until their proof.

Imports `zoo.runtime`, `zoo.spec` and the rooms below them; imported by the proof and by the jobs.
"""
