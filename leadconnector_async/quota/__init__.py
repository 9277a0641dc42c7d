"""The budget of one location: how much of it may be used now."""
