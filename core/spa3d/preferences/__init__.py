"""Preference pairs: requests, generation, writers of rejected answers."""
