"""Configuration: a mapping or argv to one `RunConfig`, with all errors in one report."""
