"""Built-in benchmarks, one file per component."""
