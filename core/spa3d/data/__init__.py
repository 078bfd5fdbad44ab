"""Clouds and texts on their way in: checked, prepared, turned into questions."""
