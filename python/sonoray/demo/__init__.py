"""What sonoray does on real and simulated data, as one self-contained HTML report."""
