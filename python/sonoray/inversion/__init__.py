"""From recorded signals to maps of the medium."""
