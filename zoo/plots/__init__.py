"""Pictures as PNG files, one module for each kind; `zoo.jobs.pictures` chooses those of a run."""
