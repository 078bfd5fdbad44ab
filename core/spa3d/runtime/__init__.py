"""Randomness, processes, devices, files."""
