"""Evaluation: questions, predictions, and scores with intervals, chance and blind scores."""
