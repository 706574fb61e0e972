"""How it was measured: probe, transmits, and the samples they gave."""
