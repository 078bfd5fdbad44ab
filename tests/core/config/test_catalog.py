from __future__ import annotations

from pathlib import Path

import pytest

from spa3d.config.catalog import SECTIONS, Entry, catalog, explain
from spa3d.errors import RegistryError
from spa3d.registry.component import Preset, Weights
from spa3d.registry.plugins import BrokenPlugin, Origin, Plugin
from spa3d.registry.registry import Registry, load_registry


@pytest.fixture
def registry(toy_registry: Path) -> Registry:
    return load_registry()


def find(entries: list[Entry], section: str, name: str) -> Entry:
    (entry,) = [each for each in entries if (each.section, each.name) == (section, name)]
    return entry


def test_catalog_presets_follow_their_component(registry: Registry) -> None:
    names = [(entry.name, entry.preset_of) for entry in catalog(registry, ("encoder",))]
    assert names == [("other", ""), ("plain", ""), ("plain-wide", "plain"), ("plain-tiny", "plain")]


def test_catalog_lists_everything_and_marks_defaults(registry: Registry) -> None:
    entries = catalog(registry)
    for section in SECTIONS[:-2]:
        assert sorted(entry.name for entry in entries if entry.section == section) == registry.names(section)
    assert [entry.name for entry in entries if entry.section == "llm"] == ["small"]
    assert [entry.name for entry in entries if entry.section == "run"] == ["short", "long"]
    chosen = [entry.name for entry in entries if entry.default]
    assert sorted(chosen) == sorted(["plain", "straight", "quiet", "fit", "toys", "pick", "tell", "small", "short"])


def test_catalog_status_without_and_with_check(registry: Registry) -> None:
    seen = {check: catalog(registry, check=check) for check in (False, True)}
    for name, unchecked, checked in [
        ("quiet", "ready", "imports"),
        ("compiled", "unavailable", "unavailable"),
        ("unfinished", "ready", "broken"),
        ("lost", "ready", "broken"),
    ]:
        assert find(seen[False], "noise", name).status.word == unchecked
        assert find(seen[True], "noise", name).status.word == checked
    assert str(find(seen[False], "noise", "compiled").status) == "unavailable: needs kernel_nobody_has"
    assert find(seen[True], "run", "short").status.word == "imports"


@pytest.mark.parametrize(
    ("good", "bad", "section", "name", "words"),
    [
        ("config: {width: 32}", "config: {width: 320}", "encoder", "plain-wide", "width: 320 is not allowed"),
        ("train: {epochs: 9}", "train: {epoch: 9}", "run", "long", "train.epoch: no field 'epoch'; did you mean"),
        ("fit-hard: {learning_rate: 0.3}", "fit-hard: {learning_rate: 0}", "run", "short", "learning_rate: 0 is not"),
        ("layers: 1, heads: 1", "layers: 1, head: 1", "llm", "small", "no field 'head'; did you mean 'heads'"),
    ],
)
def test_catalog_check_finds_invalid_presets(
    toy_registry: Path, good: str, bad: str, section: str, name: str, words: str
) -> None:
    text = toy_registry.read_text()
    assert good in text
    toy_registry.write_text(text.replace(good, bad))
    status = find(catalog(load_registry(), check=True), section, name).status
    assert status.word == "broken"
    assert words in status.cause


def test_catalog_check_allows_missing_values(toy_registry: Path) -> None:
    toy_registry.write_text(toy_registry.read_text().replace("config: {root: toys}", "config: {size: 2}"))
    assert find(catalog(load_registry(), check=True), "dataset", "toys").status.word == "imports"


def test_explain_component_with_file_and_fields(registry: Registry, toys_folder: Path) -> None:
    (explanation,) = explain(registry, "plain")
    line = (toys_folder / "toy_parts.py").read_text().splitlines().index("class ToyEncoder(Encoder):") + 1
    assert explanation.facts["file"] == f"{toys_folder / 'toy_parts.py'}:{line}"
    assert (explanation.facts["license"], explanation.facts["source"], explanation.facts["status"]) == (
        "MIT",
        "a paper",
        "imports",
    )
    width = explanation.fields[0]
    assert (width.name, width.type, width.default, width.description) == (
        "width",
        "integer ≥ 1 and ≤ 64",
        "8",
        "Channels.",
    )


def test_explain_preset_with_values_and_weights(registry: Registry) -> None:
    (explanation,) = explain(registry, "plain-tiny")
    assert explanation.facts["preset of"] == "plain"
    assert explanation.facts["weights: file"] == "tiny.safetensors"
    assert explanation.facts["weights: url"] == "https://example.org"
    assert explanation.facts["--encoder.checkpoint"].startswith("Published weights")
    assert {field.name: field.default for field in explanation.fields}["inputs"] == "xyz,rgb"
    assert explanation.facts["set in"].startswith(str(registry.manifest.location("presets").partition(":")[0]))


def test_explain_points_and_requirements() -> None:
    shipped = load_registry()
    assert explain(shipped, "pointbert-ulip2")[0].facts["--points.missing_color"] == "0.4"
    assert "clang++" in explain(shipped, "cpp")[0].facts["one of the programs"]
    assert "make kernels" in explain(shipped, "torch-points-kernels")[0].facts["install"]


def test_explain_run_presets(registry: Registry) -> None:
    (explanation,) = explain(registry, "short", "run")
    assert explanation.facts["default_presets.encoder.plain"] == "plain-tiny"
    assert explanation.facts["objectives.fit-hard.learning_rate"] == "0.3"


def test_explain_component_that_cannot_be_imported(registry: Registry) -> None:
    (explanation,) = explain(registry, "compiled")
    assert explanation.facts["status"] == "unavailable: needs kernel_nobody_has"
    assert explanation.fields == ()
    (lost,) = explain(registry, "lost")
    assert "cannot be imported" in lost.facts["status"]


def test_explain_broken_plugin(registry: Registry) -> None:
    broken = BrokenPlugin(Origin("far", "spa3d-far", "1.2"), "ImportError: libfar.so")
    (explanation,) = explain(Registry(registry.manifest, registry.plugins, [broken]), "spa3d-far")
    assert explanation.facts == {
        "origin": "spa3d-far 1.2 (entry point far)",
        "status": "broken: ImportError: libfar.so",
    }


def test_explain_names_the_origin_of_added_presets(toy_registry: Path) -> None:
    Path("extra.yaml").write_text("version: 1\npresets: {encoder: {far: {component: plain}}, run: {slow: {}}}\n")
    registry = load_registry(added="extra.yaml")
    for name in ("far", "slow"):
        section = "encoder" if name == "far" else "run"
        assert find(catalog(registry), section, name).origin == "extra.yaml"
        assert explain(registry, name)[0].facts["set in"] == "extra.yaml:2"
    preset = Preset("encoder", "farther", "plain", "Far", {"width": 16}, {"missing_color": 0.1}, Weights("far.pt"))
    plugin = Plugin(Origin("far", "spa3d-far", "1.2"), (), presets=(preset,))
    registry = Registry(registry.manifest, [*registry.plugins, plugin], [])
    assert find(catalog(registry, check=True), "encoder", "farther").origin == "spa3d-far 1.2"
    (explanation,) = explain(registry, "farther")
    assert (explanation.facts["origin"], "set in" in explanation.facts) == ("spa3d-far 1.2 (entry point far)", False)
    assert (explanation.facts["weights: file"], explanation.facts["--points.missing_color"]) == ("far.pt", "0.1")
    assert {field.name: field.default for field in explanation.fields}["width"] == "16"


def test_explain_unknown_name_suggests_similar_ones(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="no component or preset 'plane'; did you mean 'plain'"):
        explain(registry, "plane")
    with pytest.raises(RegistryError, match=r"no noise 'plain'.* possible: compiled, lost, number, quiet, unfinished"):
        explain(registry, "plain", "noise")
