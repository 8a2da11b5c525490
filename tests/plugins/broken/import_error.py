"""A module whose import needs a library that is not installed."""

raise ImportError("libexotic.so.1: cannot open shared object file")
