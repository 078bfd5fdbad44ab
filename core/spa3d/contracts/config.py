"""Base class of the configurations of components."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, field_validator

from spa3d.registry.checked_values import refuse_conversion


class ComponentConfig(BaseModel):
    """Base of every ``Config``: frozen, rejects unknown fields, checks defaults.

    Each field carries its bounds and a one-line description with the unit; both are shown by ``--help`` and
    ``tools/list --why``. A number has a lower and an upper bound, so that a slip of the keyboard is refused at once.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
    _checked = field_validator("*", mode="before")(refuse_conversion)
