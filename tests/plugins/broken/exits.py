"""A module that exits while it is imported, as some scripts do."""

import sys

sys.exit("usage: exits FILE")
