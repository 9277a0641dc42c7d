"""Our own entries: the sending alone, the whole import, and many locations at once."""
