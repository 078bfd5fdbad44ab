"""A fair comparison: a grid of runs from one base under one budget, and the table that is made of them."""
