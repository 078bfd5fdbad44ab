"""Built-in ops, one file per component."""
