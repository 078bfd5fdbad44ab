from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from spa3d import Preset, Weights
from spa3d.errors import PluginError, RegistryError
from spa3d.registry import plugins as manager
from spa3d.registry.manifest import Manifest
from spa3d.registry.manifest_file import load_manifest
from spa3d.registry.plugins import load_plugins

HOOK = """
from spa3d import Component, hookimpl

@hookimpl
def spa3d_components():
    yield Component("noise", "{name}", "{module}:Noise", "A noise")
"""

PRESET = """
from spa3d import Preset, Weights, hookimpl

@hookimpl
def spa3d_components():
    yield Preset({})
"""


@pytest.fixture
def manifest(toy_registry: Path) -> Manifest:
    return load_manifest(toy_registry)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Write an importable module; forgotten after the test."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def write(name: str, text: str) -> str:
        (folder / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


@pytest.fixture
def install_plugins(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that exactly these entry points are installed (name = module)."""

    def install(**points: str) -> None:
        result = EntryPoints(EntryPoint(name, value, "spa3d") for name, value in points.items())
        monkeypatch.setattr(manager, "entry_points", lambda group: result)

    return install


def names(manifest: Manifest, requested: tuple[str, ...] = (), **environ: str) -> list[str]:
    plugins, _ = load_plugins(manifest, requested, environ)
    return [row.name for plugin in plugins for row in plugin.rows if row.kind == "noise"]


def test_load_plugins_built_ins_and_entry_points(
    manifest: Manifest, module: Callable[[str, str], str], install_plugins: Callable[..., None]
) -> None:
    module("far_away", HOOK.format(name="distant", module="far_away"))
    install_plugins(far="far_away")
    plugins, broken = load_plugins(manifest, (), {})
    assert not broken
    assert [str(plugin.origin) for plugin in plugins] == ["built-in", "unknown distribution"]
    assert [row.name for row in plugins[1].rows] == ["distant"]
    assert not any(plugin.imports_torch for plugin in plugins)


def test_load_plugins_variable_selects_entry_points(
    manifest: Manifest, module: Callable[[str, str], str], install_plugins: Callable[..., None]
) -> None:
    for name in ("one_noise", "two_noise"):
        module(name, HOOK.format(name=name.replace("_", "-"), module=name))
    install_plugins(one="one_noise", two="two_noise")
    built_in = names(manifest, SPA3D_PLUGINS="")
    assert "quiet" in built_in
    assert names(manifest) == [*built_in, "one-noise", "two-noise"]
    assert names(manifest, SPA3D_PLUGINS="two") == [*built_in, "two-noise"]
    with pytest.raises(RegistryError, match=r"'three', which no installed package offers; installed: one, two"):
        names(manifest, SPA3D_PLUGINS="one, three")


def test_load_plugins_does_not_import_blocked_plugins(
    toy_registry: Path, module: Callable[[str, str], str], install_plugins: Callable[..., None]
) -> None:
    module("explosive", "raise RuntimeError('imported')")
    install_plugins(bomb="explosive")
    toy_registry.write_text(toy_registry.read_text().replace("load: [toy_plugin]", "load: [toy_plugin], block: [bomb]"))
    plugins, broken = load_plugins(load_manifest(toy_registry), (), {})
    assert len(plugins) == 1
    assert not broken


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", "it has no hook"),
        ("from spa3d import hookimpl\n@hookimpl\ndef spa3d_componets(): ...", "unknown hook 'spa3d_componets'"),
        ("from spa3d import hookimpl\n@hookimpl\ndef spa3d_components(registry): ...", "Argument(s) {'registry'}"),
        ("from spa3d import hookimpl\n@hookimpl\ndef spa3d_components(): return 1 / 0", "ZeroDivisionError"),
        ("from spa3d import hookimpl\n@hookimpl\ndef spa3d_components(): return ['a']", "yields str, not"),
        (HOOK.format(name="Big_Name", module="m"), "is no name"),
        (HOOK.format(name="n", module="m").replace('"noise"', '"smell"'), "unknown kind 'smell'"),
        (HOOK.format(name="n", module="m").replace(":Noise", ""), "a target is 'module:Class'"),
        (PRESET.format('"encoder", "Wide", "plain"'), "encoder 'Wide' is no name"),
        (PRESET.format('"smell", "wide", "plain"'), "preset 'wide' is of the unknown kind 'smell'"),
        (PRESET.format('"encoder", "wide", "A B"'), "presets.encoder.wide.component: no name; a name is lower-case"),
        (
            PRESET.format('"encoder", "wide", "plain", config=3'),
            "presets.encoder.wide.config: must be a valid dict",
        ),
        (PRESET.format('"encoder", "wide", "plain", weights={}'), "presets.encoder.wide.weights.file: is missing"),
        (
            PRESET.format('"encoder", "wide", "plain", weights={"file": "f", "licens": "MIT"}'),
            "presets.encoder.wide.weights.licens: unknown key",
        ),
        (
            PRESET.format('"noise", "soft", "quiet", points={"count": 1}'),
            "presets.noise.soft.points: only an",
        ),
        (
            PRESET.format('"noise", "soft", "quiet", weights=Weights("f")'),
            "presets.noise.soft.weights: only an",
        ),
    ],
)
def test_load_plugins_lists_broken_plugins_and_loads_others(
    manifest: Manifest, module: Callable[[str, str], str], install_plugins: Callable[..., None], text: str, cause: str
) -> None:
    module("bad_plugin", text)
    module("fine_plugin", HOOK.format(name="fine", module="fine_plugin"))
    install_plugins(bad="bad_plugin", fine="fine_plugin")
    plugins, broken = load_plugins(manifest, (), {})
    assert [plugin.origin.plugin for plugin in plugins] == ["toy_plugin", "fine"]
    assert [plugin.origin.plugin for plugin in broken] == ["bad"]
    assert cause in broken[0].cause


def test_load_plugins_collects_presets(
    manifest: Manifest, module: Callable[[str, str], str], install_plugins: Callable[..., None]
) -> None:
    text = PRESET.format('"encoder", "plain-far", "plain", weights=Weights("f")')
    module("with_preset", f'{text}    yield spa3d.Component("noise", "far", "far:Noise", "…")\nimport spa3d\n')
    install_plugins(far="with_preset")
    plugins, broken = load_plugins(manifest, (), {})
    assert not broken
    assert [row.name for row in plugins[-1].rows] == ["far"]
    assert plugins[-1].presets == (Preset("encoder", "plain-far", "plain", weights=Weights("f")),)


def test_load_plugins_given_plugin_that_fails_is_an_error(manifest: Manifest, tmp_path: Path) -> None:
    bad = tmp_path / "given_bad.py"
    bad.write_text("import nothing_like_it")
    for requested, words in [
        (str(bad), "No module named 'nothing_like_it'"),
        (str(tmp_path / "gone.py"), "no such file"),
        ("no_module_of_that_name", "No module named"),
    ]:
        with pytest.raises(PluginError, match=words) as caught:
            load_plugins(manifest, (requested,), {})
        assert str(caught.value).startswith(f"--plugin {requested}: ")
    assert "given_bad" not in sys.modules


def test_load_plugins_file_becomes_the_module_of_its_stem(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "given_noise.py"
    path.write_text(HOOK.format(name="given", module="given_noise"))
    plugins, _ = load_plugins(manifest, (str(path),), {})
    assert [row.target for row in plugins[-1].rows] == ["given_noise:Noise"]
    assert str(plugins[-1].origin) == str(path)
    first = sys.modules["given_noise"]
    load_plugins(manifest, (str(path),), {})
    assert sys.modules["given_noise"] is first
    other = tmp_path / "elsewhere" / "given_noise.py"
    other.parent.mkdir()
    other.write_text("")
    with pytest.raises(PluginError, match="hides the module 'given_noise'"):
        load_plugins(manifest, (str(other),), {})


def test_load_plugins_file_may_not_hide_a_library(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "json.py"
    path.write_text(HOOK.format(name="given", module="json"))
    with pytest.raises(PluginError, match=r"hides the module 'json' .*rename the file"):
        load_plugins(manifest, (str(path),), {})


def test_load_plugins_given_installed_module(
    manifest: Manifest, module: Callable[[str, str], str], install_plugins: Callable[..., None]
) -> None:
    module("both_ways", HOOK.format(name="both", module="both_ways"))
    install_plugins(both="both_ways")
    assert names(manifest, ("both_ways",)).count("both") == 1


def test_load_plugins_equal_names_of_two_distributions(
    manifest: Manifest, module: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Known:
        def __init__(self, name: str) -> None:
            self.name, self.version = name, "1.0"

    points = []
    for name in ("first_part", "second_part"):
        module(name, HOOK.format(name=name.replace("_", "-"), module=name))
        points.append(EntryPoint("extra", name, "spa3d")._for(Known(name)))
    monkeypatch.setattr(manager, "entry_points", lambda group: EntryPoints(points))
    plugins, broken = load_plugins(manifest, (), {})
    assert not broken
    assert [str(plugin.origin) for plugin in plugins[1:]] == ["first_part 1.0", "second_part 1.0"]
