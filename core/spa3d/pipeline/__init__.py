"""The steps of a run. Only this package imports all others below the command line."""
