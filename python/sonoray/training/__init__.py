"""Training of networks, with PyTorch (extra ``train``); what is trained runs without it, see `sonoray.learning`."""
