"""Networks from channel data to a sound-speed map: layers, data, recipes, checkpoints, export."""
