"""Checks of configured values that pydantic would convert without a word."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationInfo
from pydantic_core import PydanticCustomError


def refuse_conversion(cls: type[BaseModel], value: Any, info: ValidationInfo) -> Any:
    """Refuse true or false for a number (``steps: true``), and an empty text for a path.

    Every base class of configurations uses it as a validator of all fields, before pydantic's own.
    """
    annotation = cls.model_fields[str(info.field_name)].annotation
    if _has_truth_value(value) and not _takes_truth_value(annotation):
        raise PydanticCustomError("truth_value", "true and false are no numbers")
    if value == "" and annotation is Path:  # it would become the current folder
        raise PydanticCustomError("empty_path", "a path is not empty")
    return value


def _has_truth_value(value: Any) -> bool:
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_has_truth_value, value))
    return isinstance(value, bool)


def _takes_truth_value(annotation: Any) -> bool:
    """Whether an annotation allows a bool somewhere; fields of a nested model check themselves."""
    nested = isinstance(annotation, type) and issubclass(annotation, (BaseModel, Mapping))
    return annotation in (bool, Any, object) or nested or any(map(_takes_truth_value, get_args(annotation)))
