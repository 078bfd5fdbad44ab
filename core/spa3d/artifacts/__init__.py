"""What lies on disk, and what made it: run folders, the workspace of bases and caches, hashes, metrics, predictions."""
