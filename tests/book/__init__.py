"""Every system of the textbook chapter, trained, exported and proven in one go: `make book`."""
