"""Arrival times and the beamformers that use them."""
