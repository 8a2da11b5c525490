"""Command line: one module for each command, imported when the command is called.

The top room: may import every room, and imports torch only inside a command that needs it. No room imports it.
"""
