"""From samples on points to a picture, and how good it is."""
