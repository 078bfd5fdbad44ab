from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spa3d.registry.fields import describe, describe_error, errors_of, field_at, from_text, show, show_default


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    depth: int = Field(1, ge=1)


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int = Field(ge=1, description="How many.")
    share: float = Field(0.5, ge=0, lt=1)
    word: Literal["fps", "random"] = "fps"
    mode: Literal["", "rule"] = ""
    parts: tuple[Literal["left", "right"], ...] = ("left",)
    pair: tuple[int, float] = (1, 2.0)
    sizes: list[int] = []
    grid: tuple[tuple[int, ...], ...] = ()
    layers: tuple[Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)], ...] = Field(
        ((1,),), min_length=1, max_length=2
    )
    maybe: int | None = None
    table: dict[str, int] = {}
    flag: bool = True
    text: str = ""
    inner: Inner = Inner()


FIELDS = Model.model_fields


def describe_errors(**values: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"count": 1, **values})
    return [describe_error(Model, error) for error in errors_of(caught.value)]


@pytest.mark.parametrize(
    ("name", "words", "default"),
    [
        ("count", "integer ≥ 1", "required"),
        ("share", "number ≥ 0 and < 1", "0.5"),
        ("word", "fps|random", "fps"),
        ("mode", '""|rule', '""'),
        ("parts", "left|right, …", "left"),
        ("pair", "integer, number", "1,2.0"),
        ("sizes", "integer, …", "(none)"),
        ("grid", "[integer, …], …", "(none)"),
        ("layers", "[integer ≥ 1, …], …", "[[1]]"),
        ("maybe", "integer or none", "none"),
        ("flag", "true|false", "true"),
        ("text", "text", '""'),
    ],
)
def test_describe_field(name: str, words: str, default: str) -> None:
    assert describe(FIELDS[name]) == words
    assert show_default(FIELDS[name]) == default


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("count", "3", "3"),
        ("parts", "left, right", ["left", "right"]),
        ("sizes", "", []),
        ("grid", "[[1, 2], [3]]", [[1, 2], [3]]),
        ("grid", "[[1, 2", "[[1, 2"),
        ("table", "{a: 1}", {"a": 1}),
        ("maybe", "none", None),
        ("maybe", "4", "4"),
        ("text", "a,b", "a,b"),
        ("text", "none", "none"),
    ],
)
def test_from_text_parses_values(name: str, typed: str, value: object) -> None:
    assert from_text(typed, FIELDS[name]) == value


def test_field_at_nested_fields() -> None:
    assert field_at(Model, ("inner", "depth")) is Inner.model_fields["depth"]
    assert field_at(Model, ("inner", "width")) is None
    assert field_at(Model, ("count", "depth")) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"count": 0}, "0 is not allowed; possible: integer ≥ 1 (How many)"),
        ({"count": "many"}, "'many' is not allowed; possible: integer ≥ 1 (How many)"),
        ({"word": "randon"}, "'randon' is not allowed; did you mean 'random'? possible: fps|random"),
        ({"parts": ["lef"]}, "'lef' is not allowed; did you mean 'left'? possible: left|right, …"),
        ({"inner": {"deph": 1}}, "no field 'deph'; did you mean 'depth'? possible: depth"),
        ({"inner": {"depth": 0}}, "0 is not allowed; possible: integer ≥ 1"),
        ({"inner": 3}, "is a block of fields, depth, and takes no value itself"),
        ({"sizes": {"a": 1}}, "'dict' is not allowed; possible: integer, …"),
        ({"layers": ["one"]}, "'one' is not allowed; possible: [integer ≥ 1, …], …"),
        ({"layers": [["one"]]}, "'one' is not allowed; possible: [integer ≥ 1, …], …"),
        ({"layers": [[0], [1]]}, "0 is not allowed; possible: [integer ≥ 1, …], …"),
        ({"layers": []}, "takes at least 1 value; possible: [integer ≥ 1, …], …"),
        ({"layers": [[1], []]}, "takes at least 1 value; possible: [integer ≥ 1, …], …"),
        ({"layers": [[1], [1], [1]]}, "takes at most 2 values; possible: [integer ≥ 1, …], …"),
    ],
)
def test_describe_error_lists_possible_values(values: dict[str, object], words: str) -> None:
    assert describe_errors(**values) == [words]


def test_describe_error_missing_value_and_unknown_field() -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"cout": 1})
    messages = [describe_error(Model, error) for error in caught.value.errors()]
    assert messages[0] == "needs a value: integer ≥ 1 (How many)"
    assert messages[1].startswith("no field 'cout'; did you mean 'count'?")


def test_show_formats_values_as_typed() -> None:
    values = (None, False, (1, 2), ((1, 2), (3,)), "", 0.1)
    assert [show(value) for value in values] == ["none", "false", "1,2", "[[1,2], [3]]", '""', "0.1"]
