"""Tables of numbers in the texts of meshes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def parse_table(lines: Sequence[str] | Sequence[bytes]) -> Float[np.ndarray, "N C"] | None:
    """Numbers of lines; None if the lines have not equally many, none, or others than numbers."""
    if not lines or not lines[0].strip():
        return None
    try:
        table = np.loadtxt(lines, ndmin=2, comments=None)
    except (ValueError, OverflowError):
        return None
    return table if len(table) == len(lines) else None  # blank lines are skipped
