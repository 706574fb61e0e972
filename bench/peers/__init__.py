"""One adapter per package, each run in a process of its own (`worker`), so that their dependencies may differ."""
