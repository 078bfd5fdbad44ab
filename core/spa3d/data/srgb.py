"""Display colors (sRGB) and linear light (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

_STEPS = 65_535
"""Steps of a display color: libraries of mathematics differ in the last bit of a power, which rounding removes."""


def to_linear(display: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Convert display colors in [0, 1] to linear light, float64."""
    display = np.clip(display.astype(np.float64), 0, 1)
    return np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)


def to_display(linear: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Convert linear light, clipped to [0, 1], to display colors, float32 in steps of 1/65535."""
    linear = np.clip(linear.astype(np.float64), 0, 1)
    display = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (np.round(display * _STEPS) / _STEPS).astype(np.float32)
