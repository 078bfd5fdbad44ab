"""Built-in projectors, one file per component."""
