"""Built-in datasets, one file per component."""
