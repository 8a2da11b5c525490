"""The data sources that come with the core, one a file.

They enter through entry points, as other people's do, and import only the public names of `zoo`.
"""
