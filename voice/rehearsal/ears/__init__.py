"""Ears for the offline model: what a caller says is recognized from the sound. An optional extra."""
