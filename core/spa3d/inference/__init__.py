"""What a model is shown, and what it says: views, scores, predictions."""
