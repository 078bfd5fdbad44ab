"""Models and foreign weights, read from files."""
