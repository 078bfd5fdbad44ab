"""Measuring: questions to predictions, predictions to scores with intervals, chance and blind scores beside them."""
