"""Layout of a folder of one's own files: clouds, texts, names, splits and groups of look-alikes."""
