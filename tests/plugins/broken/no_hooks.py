"""A module without hooks."""

VALUE = ["not a module"]
