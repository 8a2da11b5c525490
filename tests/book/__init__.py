"""The systems of the textbook chapter, trained, exported and proven: `make book`."""
