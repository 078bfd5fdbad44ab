from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import spa3d
from spa3d.errors import ConfigError, PluginError, RegistryError
from spa3d.registry.component import Component, Preset
from spa3d.registry.kinds import SPECS
from spa3d.registry.manifest import weights_source
from spa3d.registry.plugins import BrokenPlugin, Origin, Plugin
from spa3d.registry.registry import Registry, import_contract, load_registry, open_registry
from spa3d.registry.requirements import missing_requirements

ROW = """
from spa3d import Component, hookimpl

@hookimpl
def spa3d_components():
    yield Component({kind!r}, {name!r}, "clash_part:Class", "…")
"""


@pytest.fixture
def registry(toy_registry: Path) -> Registry:
    return load_registry()


def test_names_components_and_presets(registry: Registry) -> None:
    assert [row.name for row in registry.components("encoder")] == ["other", "plain"]
    assert registry.names("encoder") == ["other", "plain", "plain-tiny", "plain-wide"]


def test_get_unknown_name_lists_similar_ones_and_command(registry: Registry) -> None:
    with pytest.raises(RegistryError) as caught:
        registry.get("encoder", "plane")
    message = str(caught.value)
    assert "no encoder 'plane'; did you mean 'plain'" in message
    assert "possible: other, plain, plain-tiny, plain-wide" in message
    assert "tools/list encoder" in message
    with pytest.raises(RegistryError, match=r"no kind 'encoders'; did you mean 'encoder'\?"):
        registry.get("encoders", "plain")


def test_get_unknown_name_mentions_broken_plugins(registry: Registry) -> None:
    broken = BrokenPlugin(Origin("far", "spa3d-far", "1.2"), "ImportError: libfar.so")
    with pytest.raises(RegistryError, match=r"may have brought it: spa3d-far 1\.2 \(ImportError: libfar\.so\)"):
        Registry(registry.manifest, registry.plugins, [broken]).get("encoder", "far")


def test_resolve_preset(registry: Registry) -> None:
    resolved = registry.resolve("encoder", "plain-wide")
    assert (resolved.component.name, resolved.preset, dict(resolved.config)) == ("plain", "plain-wide", {"width": 32})
    assert registry.get("encoder", "plain-wide").name == "plain"
    assert registry.resolve("encoder", "plain").preset is None


def test_resolve_default_preset_of_a_run_preset(registry: Registry) -> None:
    assert registry.resolve("encoder", "plain", run_preset="short").preset == "plain-tiny"
    assert registry.resolve("encoder", "other", run_preset="short").preset is None
    assert registry.resolve("encoder", "plain-wide", run_preset="short").preset == "plain-wide"
    assert registry.resolve("encoder", "plain", run_preset="long").preset is None
    with pytest.raises(RegistryError, match="no run preset 'shorter'; did you mean 'short'"):
        registry.resolve("encoder", "plain", run_preset="shorter")


def test_target_checks_the_contract(registry: Registry) -> None:
    assert registry.target(registry.get("noise", "quiet")).__name__ == "ToyNoise"
    for name, words in [
        ("compiled", "needs kernel_nobody_has; usually: pip install kernel-nobody-has"),
        ("unfinished", "leaves out apply of spa3d.Noise"),
        ("number", "is no subclass of spa3d.Noise"),
        ("lost", "cannot be imported: AttributeError"),
    ]:
        with pytest.raises(PluginError) as caught:
            registry.target(registry.get("noise", name))
        assert f"noise {name!r} (built-in)" in str(caught.value)
        assert words in str(caught.value)


def test_describe_unmet_does_not_import(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    component = registry.get("noise", "compiled")
    assert missing_requirements(component) == ["kernel_nobody_has"]
    monkeypatch.setitem(sys.modules, "kernel_nobody_has", sys)
    assert missing_requirements(component) == []
    monkeypatch.setitem(sys.modules, "kernel_nobody_has", None)
    assert missing_requirements(component) == ["kernel_nobody_has"]


def test_every_kind_has_a_contract() -> None:
    for spec in SPECS:
        assert getattr(spa3d, spec.contract_name) is import_contract(spec)


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("encoder", "plain", f"and spa3d {spa3d.__version__} (built-in)"),
        ("encoder", "plain-wide", "has the name of a preset"),
    ],
)
def test_load_registry_clash_names_both_owners(
    toy_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, words: str
) -> None:
    path = tmp_path / "clash_part.py"
    path.write_text(ROW.format(kind=kind, name=name))
    monkeypatch.delitem(sys.modules, "clash_part", raising=False)
    with pytest.raises(RegistryError) as caught:
        load_registry(plugins=[str(path)])
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    shown = open_registry(plugins=[str(path)])
    assert len(shown.clashes) == 1
    assert [row.target for row in shown.components("encoder") if row.name == "plain"] == ["toy_parts:ToyEncoder"]
    monkeypatch.delitem(sys.modules, "clash_part")


PRESETS = """
from spa3d import Preset, Weights, hookimpl

@hookimpl
def spa3d_components():
    yield Preset("encoder", {name!r}, {component!r}, config={{"width": 16}}, weights=Weights("far.pt"))
"""


@pytest.fixture
def write_plugin(toy_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write a plugin file with one preset of an encoder."""

    def write(name: str = "plain-far", component: str = "plain") -> str:
        path = tmp_path / "far_presets.py"
        path.write_text(PRESETS.format(name=name, component=component))
        monkeypatch.delitem(sys.modules, "far_presets", raising=False)
        return str(path)

    return write


def test_load_registry_takes_presets_of_a_plugin(write_plugin: Callable[..., str]) -> None:
    file = write_plugin()
    registry = load_registry(plugins=[file])
    assert "plain-far" in registry.names("encoder")
    resolved = registry.resolve("encoder", "plain-far")
    assert (resolved.component.name, resolved.preset, dict(resolved.config)) == ("plain", "plain-far", {"width": 16})
    assert str(registry.preset_origin("encoder", "plain-far")) == file
    assert str(registry.preset_origin("encoder", "plain-wide")) == "built-in"
    assert registry.manifest.location("presets", "encoder", "plain-far", "config", "width") == (
        f"{file} presets.encoder.plain-far.config.width"
    )
    assert weights_source(registry.manifest, "plain-far") == "the published weights of plain-far are far.pt"
    assert "plain-far" not in load_registry().names("encoder")


@pytest.mark.parametrize("name", ["plain-wide", "other"])
def test_load_registry_rejects_a_preset_with_a_taken_name(write_plugin: Callable[..., str], name: str) -> None:
    file = write_plugin(name)
    with pytest.raises(RegistryError, match=f"encoder '{name}' is brought by ") as caught:
        load_registry(plugins=[file])
    assert file in str(caught.value)
    assert "no --plugin or --registry" in str(caught.value)
    assert open_registry(plugins=[file]).resolve("encoder", name).config != {"width": 16}


def test_load_registry_rejects_a_given_preset_without_component(write_plugin: Callable[..., str]) -> None:
    with pytest.raises(PluginError, match="preset 'plain-far' sets up a component that is not there: no encoder"):
        load_registry(plugins=[write_plugin(component="plan")])


def test_open_registry_installed_preset_without_component_is_broken(registry: Registry) -> None:
    row = Component("noise", "distant", "far:Noise", "…")
    orphan, fine = Preset("encoder", "gone-far", "gone"), Preset("noise", "distant-soft", "distant")
    plugin = Plugin(Origin("far", "spa3d-far", "1.2"), (row,), presets=(orphan, fine))
    result = Registry(registry.manifest, [*registry.plugins, plugin], [])
    assert not result.clashes
    assert {"distant", "distant-soft"} <= {*result.names("noise")}
    assert [str(broken.origin) for broken in result.broken] == ["spa3d-far 1.2"]
    with pytest.raises(RegistryError, match=r"no encoder 'gone-far'.*may have brought it: spa3d-far 1\.2 \(preset"):
        result.resolve("encoder", "gone-far")


def test_open_registry_presets_with_one_name_clash(registry: Registry) -> None:
    preset = Preset("encoder", "plain-far", "plain")
    both = [Plugin(Origin(name, f"spa3d-{name}", "1"), (), presets=(preset,)) for name in ("one", "two")]
    result = Registry(registry.manifest, [*registry.plugins, *both], [])
    (clash,) = result.clashes
    assert clash.startswith("encoder 'plain-far' is brought by spa3d-one 1 (entry point one) and spa3d-two 1")


def test_load_registry_shares_no_state(toy_registry: Path, tmp_path: Path) -> None:
    path = tmp_path / "extra_part.py"
    path.write_text(ROW.format(kind="noise", name="extra"))
    assert "extra" in load_registry(plugins=[str(path)]).names("noise")
    assert "extra" not in load_registry().names("noise")


def test_available_omits_unmet_components(toy_registry: Path) -> None:
    assert spa3d.available("encoder") == ["other", "plain", "plain-tiny", "plain-wide"]
    assert "compiled" not in spa3d.available("noise")


def test_create_fills_preset_and_overrides(toy_registry: Path) -> None:
    encoder = spa3d.create("encoder", "plain-tiny", scale=2)
    assert encoder.config.model_dump() == {
        "width": 4, "inputs": ("xyz", "rgb"), "scale": 2.0, "norm": True, "label": "", "stem": {"depth": 1}
    }  # fmt: skip
    assert spa3d.create("noise", "quiet", level=0.5).level == 0.5


def test_create_rejects_invalid_config(toy_registry: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        spa3d.create("encoder", "plain", width=100, widht=3)
    assert len(caught.value.errors) == 2
    assert "encoder 'plain': width: 100 is not allowed; possible: integer ≥ 1 and ≤ 64 (Channels)" in str(caught.value)
    assert "no field 'widht'; did you mean 'width'?" in str(caught.value)


def test_create_projector_needs_both_widths(toy_registry: Path) -> None:
    projector = spa3d.create("projector", "straight", dim=3, hidden=5)
    assert (projector.dim, projector.hidden) == (3, 5)
    with pytest.raises(ConfigError, match="projector 'straight' needs hidden="):
        spa3d.create("projector", "straight", dim=3)


def test_open_registry_imports_no_torch(clean_environment: dict[str, str]) -> None:
    code = (
        "import sys, spa3d; names = spa3d.available('encoder'); assert names, names; "
        "spa3d.registry.load_registry(); assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=clean_environment)
