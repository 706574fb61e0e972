"""Training of despeckling networks from single noisy images (Speckle2Self)."""
