"""Tables of any common format, read by polars: dialects, cells as numbers, texts and dates, and the place of each cell.

Needs no torch. polars is imported by the functions that use it, so that commands without tables start fast.
"""
