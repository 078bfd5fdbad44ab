"""Examination of clouds and data sets: facts, findings with their consequence, and repairs."""
