"""Built-in objectives, one file per component."""
