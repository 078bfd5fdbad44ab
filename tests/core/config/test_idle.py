"""Settings that another one overrides are refused instead of ignored."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from spa3d.config.parse import parse
from spa3d.config.resolve import resolve
from spa3d.errors import ConfigError


@pytest.fixture(autouse=True)
def _toys(toy_registry: Path) -> None:
    """Every test here chooses among toys, in an empty folder."""
    Path("saved").mkdir()


def error(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(argv)
    assert len(caught.value.errors) == 1, caught.value.errors
    return caught.value.errors[0]


def test_epochs_are_refused_where_steps_override_them() -> None:
    words = "--train.epochs 3: it would have no effect, because train.steps is 5 (--train.steps 5); add --train.steps 0"
    assert error("--train.epochs", "3", "--train.steps", "5").startswith(words)
    Path("run.yaml").write_text("train: {steps: 7}")
    assert "train.steps is 7 (run.yaml:1 train.steps)" in error("--config", "run.yaml", "--train.epochs", "3")
    assert parse(["--config", "run.yaml", "--train.epochs", "3", "--train.steps", "0"]).config.train.epochs == 3


def test_epochs_or_steps_of_the_user_replace_those_of_a_preset() -> None:
    assert parse([]).config.train.steps == 3
    Path("run.yaml").write_text("train: {epochs: 2.5}\nbase: {encoder: {steps: 8}}")
    for config in (parse(["--config", "run.yaml"]).config, resolve({"train.epochs": 2.5, "base.encoder.steps": 8})):
        assert (config.train.epochs, config.train.steps) == (2.5, 0)
        assert config.base.encoder.steps == 8
    assert parse(["--preset", "long", "--train.steps", "4"]).config.train.steps == 4


def test_a_saved_configuration_may_repeat_what_has_no_effect() -> None:
    config = resolve({"train": {"steps": 7}})
    assert resolve(config.model_dump(mode="json")) == config
    Path("run.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert parse(["--config", "run.yaml", "--base", "saved"]).config.base.path == "saved"
    assert parse(["--config", "run.yaml", "--train.steps", "9"]).config.train.steps == 9


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        ("--base saved --llm.max_length 64", "--base saved is a finished 3D LLM"),
        ("--base saved --base.seed 2", "--base saved is a finished 3D LLM"),
        ("--llm saved --llm.hidden_size 64", "the LLM is that of saved"),
        ("--train.lora.alpha 32", "there are no adapters; add --train.lora.rank"),
        ("--evaluate.contrast_alpha 2", "answers are not contrasted; add --evaluate.decode contrast"),
        ("--evaluate.decode contrast --blind", "--blind shows no cloud"),
    ],
)
def test_flags_without_effect_are_refused(argv: str, reason: str) -> None:
    assert f": it would have no effect, because {reason}" in error(*argv.split())


@pytest.mark.parametrize("switch", ["blind", "cache"])
def test_contradicting_switches_are_refused(switch: str) -> None:
    for argv in ((f"--{switch}", f"--no-{switch}"), (f"--no-{switch}", f"--{switch}")):
        assert error(*argv) == f"--{switch} and --no-{switch}: they contradict each other; keep one of them"


@pytest.mark.parametrize("flag", ["encoder", "llm", "benchmark", "base", "output", "device", "seed", "plugin"])
def test_flags_with_an_empty_value_are_refused(flag: str) -> None:
    assert error(f"--{flag}=") == f"--{flag}: its value is empty; leave it out, or give one"
