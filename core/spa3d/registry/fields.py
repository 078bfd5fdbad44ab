"""Descriptions of configuration fields in words: for help, ``--why`` and error messages."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from spa3d.errors import describe_unknown
from spa3d.registry.plain_yaml import parse_yaml

COLLECTIONS = (tuple, list, set, frozenset)
WORDS: dict[Any, str] = {
    bool: "true|false",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    type(None): "none",
}
LENGTHS = {"too_short": ("at least", "min_length"), "too_long": ("at most", "max_length")}
BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


def field_at(model: type[BaseModel], keys: Sequence[str | int]) -> FieldInfo | None:
    """Find the field at `keys` through nested blocks; None if there is none."""
    field = None
    for index, key in enumerate(keys):
        field = model.model_fields.get(str(key))
        if field is None:
            return None
        if index + 1 < len(keys):
            if not is_block(field):
                return None
            model = field.annotation  # type: ignore[assignment]
    return field


def is_block(field: FieldInfo) -> bool:
    """Whether the field is a nested block of fields."""
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def describe(field: FieldInfo) -> str:
    """Describe type and bounds: ``number ≥ 0 and ≤ 1``, ``fps|random``, ``integer, …``."""
    return _add_bounds(_describe_type(field.annotation), field.metadata)


def show(value: Any) -> str:
    """Format a value as it is typed after a flag."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, COLLECTIONS):
        if any(isinstance(item, COLLECTIONS) for item in value):
            return f"[{', '.join(f'[{show(item)}]' for item in value)}]"
        return ",".join(map(show, value)) or "(none)"
    return str(value) if str(value) else '""'


def show_default(field: FieldInfo) -> str:
    """Format the default of a field; ``required`` if it has none."""
    return "required" if field.is_required() else show(field.get_default(call_default_factory=True))


def from_text(text: str, field: FieldInfo) -> Any:
    """Parse the text of a flag: commas make lists, ``none`` is None if the field allows it.

    Nested lists and mappings are YAML, ``[[1, 2], [3]]``. Text that cannot be parsed is returned unchanged; the model
    then reports the error.
    """
    kinds = _list_members(field.annotation)
    if type(None) in kinds and text.lower() in {"none", "null"}:
        return None
    if not any(_find_container(kind) in (*COLLECTIONS, dict) for kind in kinds):
        return text
    if text[:1] in ("[", "{"):
        try:
            return parse_yaml(text)
        except yaml.YAMLError:
            return text
    return [part.strip() for part in text.split(",")] if text else []


def errors_of(error: ValidationError) -> list[Mapping[str, Any]]:
    """List validation errors, without "too short" for lists with invalid items."""
    return [each for each in error.errors() if not (each["type"] == "too_short" and _has_enough_items(each))]


def _has_enough_items(each: Mapping[str, Any]) -> bool:
    return isinstance(each["input"], COLLECTIONS) and len(each["input"]) >= each["ctx"]["min_length"]


def describe_error(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    """Describe a validation error: what is wrong, what is possible, the purpose of the field."""
    loc = error["loc"]
    if error["type"] == "extra_forbidden":
        parent = field_at(model, loc[:-1])
        block = parent.annotation if parent is not None else model
        return describe_unknown("field", str(loc[-1]), block.model_fields)  # type: ignore[union-attr]
    text = str(error["msg"]).removeprefix("Value error, ")
    field = next((inner for end in range(len(loc), 0, -1) if (inner := field_at(model, loc[:end]))), None)
    if field is None or (is_block(field) and error["type"] == "value_error"):
        return text
    if is_block(field):
        return f"is a block of fields, {', '.join(field.annotation.model_fields)}, and takes no value itself"  # type: ignore[union-attr]
    purpose = f" ({field.description.rstrip('.')})" if field.description else ""
    if error["type"] == "missing":
        return f"needs a value: {describe(field)}{purpose}"
    if error["type"] == "value_error":
        return f"{text}{purpose}"
    if error["type"] in LENGTHS:
        limit, bound = LENGTHS[error["type"]]
        number = error["ctx"][bound]
        return f"takes {limit} {number} value{'s' * (number != 1)}; possible: {describe(field)}{purpose}"
    value = error["input"] if isinstance(error["input"], (str, int, float)) else type(error["input"]).__name__
    near = _suggest(value, field)
    return f"{value!r} is not allowed{near or ';'} possible: {describe(field)}{purpose}"


def _suggest(value: Any, field: FieldInfo) -> str:
    near = difflib.get_close_matches(str(value), _list_choices(field.annotation), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _list_choices(annotation: Any) -> list[str]:
    """List the values of all Literals in an annotation."""
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [word for inner in get_args(annotation) for word in _list_choices(inner)]


def _list_members(annotation: Any) -> tuple[Any, ...]:
    """List the alternatives of a union; otherwise the annotation alone."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _find_container(annotation: Any) -> Any:
    return get_origin(annotation) or annotation


def _describe_type(annotation: Any) -> str:
    if len(_list_members(annotation)) > 1:
        return " or ".join(map(_describe_type, _list_members(annotation)))
    if get_origin(annotation) is Annotated:
        inside, *rules = get_args(annotation)
        return _add_bounds(
            _describe_type(inside), [rule for each in rules for rule in getattr(each, "metadata", [each])]
        )
    if get_origin(annotation) is Literal:
        return "|".join(str(value) or '""' for value in get_args(annotation))
    if get_origin(annotation) in COLLECTIONS:
        inner = [_describe_item(item) if item is not ... else "…" for item in get_args(annotation)]
        return ", ".join(inner if get_origin(annotation) is tuple else [*inner, "…"])
    return WORDS.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _describe_item(annotation: Any) -> str:
    """Describe an item of a list; a nested list is in brackets, as it is typed."""
    inside = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return f"[{_describe_type(annotation)}]" if get_origin(inside) in COLLECTIONS else _describe_type(annotation)


def _add_bounds(words: str, rules: Iterable[Any]) -> str:
    bounds = [f"{sign} {getattr(rule, name)}" for rule in rules for name, sign in BOUNDS if hasattr(rule, name)]
    return " ".join([words, " and ".join(bounds)]).strip()
