"""Sound speed from the echoes themselves, and images focused with it."""
