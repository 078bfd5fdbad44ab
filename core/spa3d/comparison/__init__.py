"""Comparisons: a grid of runs under one budget, and the table of their results."""
