"""Inference: views of records, scores of texts, predictions."""
