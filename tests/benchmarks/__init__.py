"""Benchmarks: `make bench`. Ratios of two things measured in turn in one run; never asserted by the tests."""
