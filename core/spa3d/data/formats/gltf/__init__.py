"""Reader of glTF 2.0: its JSON, buffers, accessors, materials and nodes, a file each."""
