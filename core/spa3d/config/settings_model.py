"""Base of all settings, and the limits of their numbers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, field_validator

from spa3d.registry.checked_values import refuse_conversion

LARGEST_SEED = 2**32 - 1
"""Largest seed that every generator of random numbers takes."""
LARGEST_COUNT = 10**9
"""More steps, records or questions than any run has."""


class Settings(BaseModel):
    """Base of all settings: frozen, rejects unknown keys; ``--help`` shows the field docstrings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
    _checked = field_validator("*", mode="before")(refuse_conversion)
