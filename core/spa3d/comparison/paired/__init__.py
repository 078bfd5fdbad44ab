"""Two models on the same questions: paired differences of their saved answers."""
