"""Packaged scenarios, one YAML file each."""
