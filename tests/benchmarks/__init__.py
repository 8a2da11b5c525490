"""Benchmarks: `make bench`. Ratios of two candidates measured in turn; the tests assert none of them."""
