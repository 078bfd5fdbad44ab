"""The contracts between spa3d and its components, one file per kind."""
