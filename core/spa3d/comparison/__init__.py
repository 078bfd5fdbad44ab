"""Comparisons: a grid of runs from one base under one budget, and the table of their results."""
