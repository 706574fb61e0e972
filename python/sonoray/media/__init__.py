"""What is out there: grids, media on them, and media with known answers."""
