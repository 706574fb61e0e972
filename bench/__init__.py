"""Benchmarks: how fast, against what floor, against whom."""
