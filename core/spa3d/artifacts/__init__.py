"""Files of runs: run folders, workspace of bases and caches, hashes, metrics, predictions."""
