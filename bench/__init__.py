"""Measurements: `python -m bench` (also `make bench`)."""
