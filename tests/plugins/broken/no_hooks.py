"""Implements nothing."""

VALUE = ["not a module"]
