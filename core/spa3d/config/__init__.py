"""A mapping or argv to one `RunConfig`, with every error in one report."""
