"""Pictures made better by networks: despeckling, blind enhancement, colour-flow videos to B-mode; no PyTorch."""
