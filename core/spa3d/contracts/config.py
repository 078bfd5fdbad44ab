"""Base class of the configurations of components."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ComponentConfig(BaseModel):
    """Base of every ``Config``: frozen, rejects unknown fields, checks defaults.

    Each field carries its bounds and a one-line description with the unit; both are shown by ``--help`` and
    ``tools/list --why``.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
