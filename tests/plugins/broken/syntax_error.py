"""A module with a syntax error, inside a string so that linters can read this file."""

compile("def zoo_register_cells(:", "syntax_error.py", "exec")
