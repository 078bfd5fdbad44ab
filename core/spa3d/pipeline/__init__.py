"""The steps of a run. The only room that knows all others below the command line."""
