"""Pictures, as PNG files; one kind a file. Which of them a run gets: `zoo.jobs.pictures`."""
