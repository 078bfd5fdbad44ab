"""Input data: checks and preparation of clouds, conversations, pairs, questions."""
