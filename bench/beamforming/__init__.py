"""Delay-and-sum."""
