"""Builder of questions with four options from captions, facts, and questions with answers."""
