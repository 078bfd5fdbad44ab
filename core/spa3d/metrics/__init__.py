"""Numbers from texts and answers, and statistics."""
