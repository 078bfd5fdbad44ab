"""The label of what is not an answer."""

from __future__ import annotations

IGNORED = -100
"""Label of a token that is not an answer (torch's cross-entropy convention)."""
