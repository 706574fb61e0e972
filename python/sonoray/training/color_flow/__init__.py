"""Training of the networks that translate colour-flow videos to B-mode videos."""
