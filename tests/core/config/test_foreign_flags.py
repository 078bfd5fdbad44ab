from __future__ import annotations

import re
import shlex

import pytest

from spa3d.config.foreign_flags import POINTERS, describe_pointer
from spa3d.config.overrides import list_flags
from spa3d.config.parse import parse
from spa3d.errors import ConfigError
from spa3d.registry.kinds import CHOSEN
from spa3d.registry.registry import Registry, load_registry

NAMED = re.compile(r"--([a-z][a-z0-9_.-]*[a-z0-9])")


@pytest.fixture(scope="module", name="registry")
def load_shipped_registry() -> Registry:
    return load_registry()


def has_flag(registry: Registry, flag: str) -> bool:
    kind, _, field = flag.partition(".")
    if kind in CHOSEN and field:
        return any(field in registry.target(row).Config.model_fields for row in registry.components(kind))
    return flag in list_flags()


@pytest.mark.parametrize("name", POINTERS)
def test_pointers_name_flags_that_exist(name: str, registry: Registry) -> None:
    flags = NAMED.findall(POINTERS[name])
    assert [flag for flag in flags if not has_flag(registry, flag)] == []
    assert flags or POINTERS[name] in {POINTERS[key] for key in ("optim", "report_to", "deepspeed", "push_to_hub")}


@pytest.mark.parametrize("name", POINTERS)
def test_pointers_stand_for_names_that_are_no_flags(name: str) -> None:
    assert name.replace("_", "-") not in list_flags()
    assert name not in list_flags()


def test_pointers_work_for_hyphens_blocks_and_unknown_names() -> None:
    assert describe_pointer("lora-r") == describe_pointer("train.lora_r") == "here it is --train.lora.rank"
    assert describe_pointer("learning_rates") == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--learning_rate 1e-4", "--learning_rate 1e-4: no flag '--learning_rate'; here it is --train.learning_rate"),
        ("--bf16", "--bf16: no flag '--bf16'; here it is --dtype bfloat16 for arithmetic"),
        ("--train.lr 3", "--train.lr 3: no such setting; here it is --train.learning_rate"),
        ("--foo", "--foo: no flag '--foo'; --help all lists all flags"),
        ("--steps 3", "--steps 3: no flag '--steps'; did you mean '--train.steps' or"),
        ("--dry-runn", "--dry-runn: no flag '--dry-runn'; did you mean '--dry-run'?"),
        ("--output", "--output: its value is missing"),
        ("--objective.beta", "--objective.beta: its value is missing"),
    ],
)
def test_unknown_flags_get_one_message(words: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(shlex.split(words))
    assert [error for error in caught.value.errors if error.startswith(message)] == list(caught.value.errors)
    assert len(caught.value.errors) == 1
