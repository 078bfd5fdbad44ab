"""Built-in noise, one file per component."""
