"""The data sources that come with the core, one a file. They enter through entry points, as a stranger's do."""
