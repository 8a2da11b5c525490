"""Is not Python. (In a string, so that the linters can read this file.)"""

compile("def zoo_register_cells(:", "syntax_error.py", "exec")
