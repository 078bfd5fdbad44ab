"""YAML is read as YAML 1.2, and nothing in a file can break the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from spa3d.errors import ConfigError
from spa3d.registry.located_yaml import read_located
from spa3d.registry.plain_yaml import dump_yaml, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("010", 10),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("1e-3", 1e-3),
        ("-.5", -0.5),
        ("2020-99-99", "2020-99-99"),
        ("~", None),
        ("", None),
        ("[1, two, 3.0]", [1, "two", 3.0]),
    ],
)
def test_parse_yaml_plain_values(text: str, value: Any) -> None:
    parsed = parse_yaml(text)
    assert parsed == value
    assert type(parsed) is type(value)


VALUES = {"text": ["1e5", "yes", "010", "true", "", "a: b", "é", "2020-01-01"], "numbers": [1e-5, 7, True, None]}


def test_dump_yaml_reads_back_as_written() -> None:
    assert parse_yaml(dump_yaml(VALUES)) == VALUES


@pytest.mark.parametrize(
    "text",
    [
        "!!int abc",
        "!!int ''",
        "!!float abc",
        "!!bool maybe",
        "!!timestamp abc",
        "!!binary a",
        "9" * 5000,
        "[" * 100_000,
    ],
)
def test_read_located_names_the_line_of_what_is_no_value(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"preset: smoke\nseed: {text}\n")
    with pytest.raises(ConfigError, match=r"run\.yaml:2: not YAML: "):
        read_located(path, ConfigError)
    with pytest.raises(yaml.YAMLError):
        parse_yaml(text)


def test_read_located_refuses_aliases_of_aliases(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    path.write_text("\n".join(rows))
    with pytest.raises(ConfigError, match="more than 100,000 values, with aliases written out"):
        read_located(path, ConfigError)


def test_read_located_takes_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("\ufeffseed: 3\n", encoding="utf-8")
    assert read_located(path, ConfigError).values == {"seed": 3}
