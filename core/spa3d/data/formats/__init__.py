"""Readers of cloud files, one file per format."""
