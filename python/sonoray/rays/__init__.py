"""How waves travel: travel times from the eikonal equation."""
