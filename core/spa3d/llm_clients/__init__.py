"""Other LLMs that are asked things, and the log that nothing is asked twice for."""
