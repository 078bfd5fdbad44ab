"""The file of ``--registry``, laid over registry.yaml."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spa3d.errors import RegistryError
from spa3d.registry.registry import load_registry

EXTRA = """\
version: 1
components:
  encoder:
    extra: {target: "toy_parts:ToyEncoder", summary: Beside the plain one}
defaults:
  objective: prefer
  ops: {cuda: [loops]}
presets:
  encoder:
    extra-wide: {component: extra, config: {width: 32}, weights: {file: extra.pt}}
    plain-huge: {component: plain, config: {width: 64}}
  llm:
    large: {summary: Large, config: {hidden_size: 32}}
  run:
    medium:
      default_presets: {encoder: {plain: plain-huge, extra: extra-wide}}
      settings: {train: {steps: 7}}
  compare:
    both: {rows: [{settings: {objective: fit}}]}
"""


@pytest.fixture
def extra(toy_registry: Path) -> Path:
    path = Path("extra.yaml")
    path.write_text(EXTRA)
    return path


def load_error(path: Path, text: str, plugins: tuple[str, ...] = ()) -> str:
    path.write_text(text)
    with pytest.raises(RegistryError) as caught:
        load_registry(added=path, plugins=plugins)
    return str(caught.value)


def test_extend_manifest_adds_rows_of_every_section(extra: Path) -> None:
    registry = load_registry(added=extra)
    assert registry.names("encoder") == [
        "extra", "extra-wide", "other", "plain", "plain-huge", "plain-tiny", "plain-wide"
    ]  # fmt: skip
    assert {*registry.manifest.presets.run} == {"short", "long", "medium"}
    assert {*registry.manifest.presets.llm} == {"small", "large"}
    assert "both" in registry.manifest.presets.compare
    assert registry.resolve("encoder", "plain", run_preset="medium").preset == "plain-huge"
    assert registry.target(registry.get("encoder", "extra-wide")).__name__ == "ToyEncoder"
    assert "extra" not in load_registry().names("encoder")


def test_extend_manifest_replaces_defaults_one_by_one(extra: Path) -> None:
    defaults = load_registry(added=extra).manifest.defaults
    assert (defaults.names("objective"), defaults.names("encoder")) == (("prefer",), ("plain",))
    assert defaults.backends == {"cuda": ("loops",)}


def test_extend_manifest_keeps_the_location_of_every_row(extra: Path, toy_registry: Path) -> None:
    registry = load_registry(added=extra)
    assert registry.manifest.location("presets", "run", "medium") == "extra.yaml:15 presets.run.medium"
    assert registry.manifest.location("defaults", "objective") == "extra.yaml:6 defaults.objective"
    assert registry.manifest.location("defaults", "encoder").startswith(f"{toy_registry}:")
    assert str(registry.origin(registry.get("encoder", "extra"))) == "extra.yaml"
    assert str(registry.origin(registry.get("encoder", "plain-huge"))) == "built-in"
    origins = [
        registry.preset_origin(*named) for named in (("run", "medium"), ("encoder", "plain-huge"), ("run", "short"))
    ]
    assert [str(origin) for origin in origins] == ["extra.yaml", "extra.yaml", "built-in"]


def test_extend_manifest_loads_the_plugins_of_both(
    extra: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    hook = "from spa3d import Component, hookimpl\n@hookimpl\ndef spa3d_components(): return []\n"
    (tmp_path / "loaded_by_extra.py").write_text(hook)
    extra.write_text("version: 1\nplugins: {load: [loaded_by_extra]}\n")
    assert [plugin.origin.plugin for plugin in load_registry(added=extra).plugins[:2]] == [
        "toy_plugin",
        "loaded_by_extra",
    ]


@pytest.mark.parametrize(
    ("text", "location", "words"),
    [
        ("components: {}\n", "extra.yaml", "version: is missing"),
        ("version: 1\npreset: {}\n", "extra.yaml:2", "preset: unknown key"),
        ("version: 1\nx: [1, 2\n", "extra.yaml:3", "not YAML"),
        (
            "version: 1\ncomponents:\n  noise:\n    quiet: {target: a:B, summary: s}\n",
            "extra.yaml:4",
            "has noise quiet already; choose another name",
        ),
        ("version: 1\npresets:\n  noise:\n    quiet: {component: lost}\n", "extra.yaml:4", "has noise quiet already"),
        ("version: 1\npresets:\n  run:\n    short: {}\n", "extra.yaml:4", "has run short already"),
        (
            "version: 1\npresets:\n  noise:\n    soft: {component: quite}\n",
            "extra.yaml:4",
            "presets.noise.soft.component: no noise 'quite'; did you mean 'quiet'?",
        ),
        (
            "version: 1\npresets:\n  run:\n    fast: {default_presets: {noise: {quiet: quieter}}}\n",
            "extra.yaml:4",
            "default_presets.noise.quiet: no noise 'quieter'",
        ),
        ("version: 1\ndefaults:\n  ops: {cpu: [lops]}\n", "extra.yaml:3", "no ops 'lops'; did you mean 'loops'?"),
        (
            "version: 1\npresets:\n  noise:\n    soft: {component: quiet, points: {count: 1}}\n",
            "extra.yaml:4",
            "only an encoder's preset says how clouds are prepared",
        ),
    ],
)
def test_load_registry_error_names_file_and_key(extra: Path, text: str, location: str, words: str) -> None:
    message = load_error(extra, text)
    assert message.startswith(location)
    assert words in message
    assert len(message.splitlines()) == 1


def test_load_registry_copy_of_the_registry_is_a_short_error(extra: Path, toy_registry: Path) -> None:
    lines = load_error(extra, toy_registry.read_text()).splitlines()
    assert len(lines) == 4
    assert lines[-1].endswith("more names are taken; SPA3D_REGISTRY=extra.yaml reads it instead of registry.yaml")


def test_load_registry_missing_file_is_one_message(toy_registry: Path) -> None:
    with pytest.raises(RegistryError, match=r"^--registry gone\.yaml: no such file; it adds rows to registry\.yaml"):
        load_registry(added="gone.yaml")


PLUGIN = """
from spa3d import Component, Preset, hookimpl

@hookimpl
def spa3d_components():
    yield Component("noise", "distant", "far:Noise", "…")
    yield Preset("noise", "distant-soft", "distant")
"""


@pytest.fixture
def plugin(extra: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    Path("beside_extra.py").write_text(PLUGIN)
    monkeypatch.delitem(sys.modules, "beside_extra", raising=False)
    return "beside_extra.py"


def test_load_registry_file_presets_for_components_of_plugins(extra: Path, plugin: str) -> None:
    extra.write_text("version: 1\npresets: {noise: {far-away: {component: distant}}}\n")
    registry = load_registry(added=extra, plugins=[plugin])
    assert registry.get("noise", "far-away").target == "far:Noise"
    with pytest.raises(RegistryError, match=r"^extra\.yaml:2 presets\.noise\.far-away\.component: no noise 'distant'"):
        load_registry(added=extra)


@pytest.mark.parametrize("name", ["distant", "distant-soft"])
@pytest.mark.parametrize(
    "text",
    [
        "components: {noise: {NAME: {target: 'toy_parts:ToyNoise', summary: s}}}",
        "presets: {noise: {NAME: {component: quiet}}}",
    ],
    ids=["component", "preset"],
)
def test_load_registry_name_in_file_and_plugin_is_a_clash(extra: Path, plugin: str, text: str, name: str) -> None:
    extra.write_text(f"version: 1\n{text.replace('NAME', name)}\n")
    with pytest.raises(RegistryError, match=f"noise {name!r}") as caught:
        load_registry(added=extra, plugins=[plugin])
    assert "extra.yaml" in str(caught.value)
    assert plugin in str(caught.value)
