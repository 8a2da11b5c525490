"""Leaves while it is imported, as scripts do that were never meant to be imported."""

import sys

sys.exit("usage: exits FILE")
