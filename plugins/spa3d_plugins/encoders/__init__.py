"""Built-in encoders, one file per component."""
