"""One module per file format; see `sonoray.io.registry` for what a module must hold."""
