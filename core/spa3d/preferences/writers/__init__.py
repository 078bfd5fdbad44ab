"""Writers of rejected answers, one file per writer."""
