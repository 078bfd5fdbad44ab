"""Resolution of mappings: the same names, values, layers and errors as on a command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from spa3d.config.parse import parse
from spa3d.config.resolve import resolve
from spa3d.errors import ConfigError
from spa3d.registry.registry import load_registry


@pytest.fixture(autouse=True)
def _toys(toy_registry: Path) -> None:
    """Every test here chooses among toys, in an empty folder."""


def errors(*settings: Mapping[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolve(*settings)
    return list(caught.value.errors)


def test_resolve_without_settings_gives_defaults() -> None:
    assert resolve({}) == resolve() == parse([]).config


@pytest.mark.parametrize(
    ("settings", "argv"),
    [
        ({"encoder": "plain-wide"}, "--encoder plain-wide"),
        ({"noise": {"name": "quiet", "level": 0.25}}, "--noise quiet --noise.level 0.25"),
        ({"noise.level": 0.25, "seed": 3}, "--noise.level 0.25 --seed 3"),
        ({"train": {"steps": 3}, "train.learning-rate": "1e-3"}, "--train.steps 3 --train.learning_rate 1e-3"),
        ({"encoder": {"inputs": ["xyz", "rgb"]}}, "--encoder.inputs xyz,rgb"),
        ({"encoder.inputs": "xyz,rgb", "encoder.scale": "none"}, "--encoder.inputs xyz,rgb --encoder.scale none"),
        ({"benchmark": ["tell", {"name": "pick", "limit": 7}]}, "--benchmark tell,pick --benchmark.pick.limit 7"),
        ({"benchmark.pick.limit": 7}, "--benchmark.pick.limit 7"),
        ({"llm": "small", "llm.layers": 2}, "--llm small --llm.layers 2"),
        ({"preset": "long", "blind": True, "cache": False}, "--preset long --blind --no-cache"),
        ({"train": {"steps": 3}, "train.steps": 4}, "--train.steps 4"),
    ],
)
def test_resolve_equals_flags(settings: Mapping[str, Any], argv: str) -> None:
    assert resolve(settings) == parse(argv.split()).config


def test_resolve_reads_a_saved_configuration() -> None:
    first = parse(["--encoder.width", "16", "--benchmark", "tell", "--blind", "--llm", "a/b"]).config
    assert resolve(first.model_dump(mode="json")) == first
    assert resolve(first.model_dump()) == first


def test_resolve_lays_later_settings_over_earlier_ones() -> None:
    config = resolve({"train": {"steps": 3, "epochs": 2}, "seed": 1}, {"train.steps": 5}, {"seed": 2})
    assert (config.train.steps, config.train.epochs, config.seed) == (5, 2, 2)


def test_resolve_leaves_out_settings_of_another_component() -> None:
    base = {"encoder": {"name": "other", "width": 16}}
    assert resolve(base).encoder.config["width"] == 16
    assert resolve(base, {"encoder": "other"}).encoder.config["width"] == 16
    assert resolve(base, {"encoder": "plain"}) == resolve({"encoder": "plain"})
    assert resolve({"encoder": {"width": 16}}, {"encoder": "plain"}).encoder.config["width"] == 16


def test_resolve_takes_the_registry_it_is_given(toy_registry: Path) -> None:
    other = Path("other.yaml")
    other.write_text(toy_registry.read_text().replace("objective: fit\n", "objective: prefer\n"))
    assert resolve({}).objective.requested == "fit"
    assert resolve({}, registry=load_registry(other)).objective.requested == "prefer"


def test_resolve_reads_the_registry_file_of_the_settings() -> None:
    Path("extra.yaml").write_text("version: 1\ndefaults: {objective: prefer}\n")
    result = resolve({"registry": "gone.yaml"}, {"registry": "extra.yaml"})
    assert (result.registry, result.objective.requested) == ("extra.yaml", "prefer")


def test_resolve_reports_every_error_with_its_key() -> None:
    result = errors(
        {"seed": -1, "train": {"stepz": 3}, "encoder": {"name": "plain", "width": 99}, "noise.level": "2", "sede": 1},
        {"benchmark": "pick,gone", "base": "nowhere", "device": "gpu", "benchmark.tell.limit": 1},
    )
    assert {each.partition(": ")[0] for each in result} == {
        *("seed", "train.stepz", "encoder.width", "noise.level", "sede"),
        *("benchmark", "base.path", "device", "benchmark.tell.limit"),
    }
    assert "noise.level: '2' is not allowed; possible: number ≥ 0 and ≤ 1" in "\n".join(result)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"encoder": 3}, "encoder: expected a name, found 3"),
        ({"encoder": {"requested": "plain", "config": 3}}, "encoder.config: expected a block of fields"),
        ({"benchmark": [{"limit": 3}]}, "benchmark.0: no benchmark is named"),
        ({"train": 3}, "train: train is a block of fields and takes no value itself"),
        ({"train.steps.x": 3}, "train.steps.x: steps holds a value, so it has no fields"),
        ({"benchmark.pack.limit": 3}, "benchmark.pack.limit: 'pack' is not chosen; chosen: pick, tell"),
        ({"noise": "quite"}, "noise: no noise 'quite'; did you mean 'quiet'?"),
        ({"trian.steps": 3}, "trian: no field 'trian'; did you mean 'train'"),
    ],
)
def test_resolve_error_messages(settings: Mapping[str, Any], words: str) -> None:
    (message,) = errors(settings)
    assert words in message


@pytest.mark.parametrize("keys", ["seed", "train.steps", "threads", "train.learning_rate", "encoder.width"])
def test_resolve_refuses_a_truth_value_for_a_number(keys: str) -> None:
    for value in (True, False):
        assert errors({keys: value})[0].startswith(f"{keys}: {value} is not allowed; possible: ")
    head, *rest = keys.split(".")
    nested: Any = True
    for key in reversed(rest):
        nested = {key: nested}
    assert "True is not allowed" in errors({head: nested})[0]


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ("seed", 2**32),
        ("threads", 20_000),
        ("llm.vocab_size", 10**9),
        ("train.epochs", 1e308),
        ("evaluate.bootstrap", 10**8),
        ("train.steps", int("9" * 30)),
        ("points.count", 10**30),
    ],
)
def test_resolve_refuses_numbers_beyond_any_use(keys: str, value: float) -> None:
    assert errors({keys: value})[0].startswith(f"{keys}: {value!r} is not allowed; possible: ")


@pytest.mark.parametrize("kind", ["encoder", "objective", "preset", "llm", "base", "plugins"])
@pytest.mark.parametrize("empty", ["", "  "])
def test_resolve_refuses_an_empty_name(kind: str, empty: str) -> None:
    assert errors({kind: [empty] if kind == "plugins" else empty})[0].endswith(
        "expected a name, found an empty text; leave it out"
    )


def test_resolve_refuses_an_empty_benchmark_among_others() -> None:
    assert "expected a name, found an empty text" in errors({"benchmark": "pick,"})[0]


@pytest.mark.parametrize("keys", ["device", "ops", "evaluate.split", "llm.point_patch"])
def test_resolve_refuses_an_empty_text_where_a_name_is_needed(keys: str) -> None:
    assert errors({keys: ""})[0].startswith(f"{keys}: ")
