"""Table of kinds: complete, equal to `RunConfig`, and enough for a new kind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import spa3d
from spa3d.config.settings import RunConfig, Selection
from spa3d.registry.kinds import CHOSEN, CHOSEN_SEVERAL, KINDS, SPECS, kind_spec, settings_keys
from spa3d.registry.manifest import Axis

ROW = """SPECS = (
    KindSpec("flavor", "flavors", "spa3d.flavor:Flavor", {choice!r}, build_arguments=("cups",), has_weights=True),
"""

CONTRACT = """
from abc import ABC, abstractmethod

from spa3d.contracts.config import ComponentConfig


class Flavor(ABC):
    Config = ComponentConfig

    def __init__(self, *, cups, **values):
        self.cups, self.config = cups, self.Config(**values)

    @abstractmethod
    def taste(self): ...
"""

PARTS = """
from spa3d.contracts.config import ComponentConfig
from spa3d.flavor import Flavor


class Config(ComponentConfig):
    sweetness: float = 0.5
    \"\"\"Sugar.\"\"\"


class Vanilla(Flavor):
    Config = Config

    def taste(self):
        return self.cups * self.config.sweetness


class Tasteless(Flavor):
    pass


class Greedy(Vanilla):
    class Config(Config):
        checkpoint: str = ""
        \"\"\"Taken.\"\"\"
"""

REGISTRY = """
version: 1
plugins: {load: [flavor_plugin]}
components:
  flavor:
    vanilla: {target: "flavor_parts:Vanilla", summary: Plain}
    tasteless: {target: "flavor_parts:Tasteless", summary: Nothing}
    greedy: {target: "flavor_parts:Greedy", summary: Takes a name of the run}
defaults: {DEFAULT preset: quick}
presets:
  flavor:
    sweet: {component: vanilla, config: {sweetness: 2.0}}
  run:
    quick: {default_presets: {flavor: {vanilla: sweet}}}
"""

PLUGIN = """
from spa3d import hookimpl

@hookimpl
def spa3d_components(manifest):
    return manifest.rows()
"""


def test_kind_spec_by_unique_name() -> None:
    assert len(set(KINDS)) == len(SPECS)
    assert len({spec.plural for spec in SPECS}) == len(SPECS)
    assert [kind_spec(kind) for kind in KINDS] == list(SPECS)
    with pytest.raises(KeyError):
        kind_spec("encoders")


def test_settings_keys_include_the_name_for_several() -> None:
    assert settings_keys("benchmark", "choice") == ("benchmark", "choice")
    assert settings_keys("encoder", "pointnext") == ("encoder",)


def test_run_config_has_a_field_per_chosen_kind() -> None:
    once, several = [], []
    for name, field in RunConfig.model_fields.items():
        inner = get_args(field.annotation)
        if inner and isinstance(inner[0], type) and issubclass(inner[0], Selection):
            several.append(name)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Selection):
            once.append(name)
    assert (*once, *several) == CHOSEN
    assert tuple(several) == CHOSEN_SEVERAL


def test_comparison_axes_use_plurals_of_kinds() -> None:
    plurals = {spec.plural for spec in SPECS if spec.choice == "one"}
    assert set(get_args(Axis)) - plurals == {"levels", "pair-modes", "learning-rates"}


def test_checkpoint_is_reserved_for_kinds_with_weights() -> None:
    fields = {kind: RunConfig.model_fields[kind].annotation for kind in CHOSEN if kind not in CHOSEN_SEVERAL}
    for kind, selection in fields.items():
        assert ("checkpoint" in selection.model_fields) == kind_spec(kind).has_weights  # type: ignore[union-attr]


def run_with_a_new_kind(folder: Path, choice: str, code: str) -> dict[str, object]:
    """What `code` prints as JSON, in a copy of spa3d whose table has one more row."""
    package = Path(spa3d.__file__).parent
    shutil.copytree(package, folder / "spa3d", ignore=shutil.ignore_patterns("__pycache__"))
    table = folder / "spa3d" / "registry" / "kinds.py"
    text = table.read_text(encoding="utf-8")
    assert text.count("SPECS = (\n") == 1
    table.write_text(text.replace("SPECS = (\n", ROW.format(choice=choice)), encoding="utf-8")
    default = {"one": "flavor: vanilla,", "several": "flavor: [vanilla, sweet],", "none": ""}[choice]
    for name, content in {
        "spa3d/flavor.py": CONTRACT,
        "flavor_parts.py": PARTS,
        "flavor_plugin.py": PLUGIN,
        "registry.yaml": REGISTRY.replace("DEFAULT", default),
    }.items():
        (folder / name).write_text(content, encoding="utf-8")
    environ = {"PYTHONPATH": str(folder), "SPA3D_REGISTRY": str(folder / "registry.yaml"), "SPA3D_PLUGINS": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environ, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def test_new_kind_in_registry_list_why_and_create(tmp_path: Path) -> None:
    code = """
import json, sys
import spa3d
from spa3d.config.catalog import SECTIONS, catalog, explain
from spa3d.errors import ConfigError, SpaError
from spa3d.registry.registry import load_registry

def error(attempt):
    try:
        attempt()
    except SpaError as error:
        return str(error)

registry = load_registry()
(why,) = explain(registry, "sweet")
print(json.dumps({
    "names": registry.names("flavor"),
    "section": "flavor" in SECTIONS,
    "list": [[entry.name, entry.status.word, entry.preset_of] for entry in catalog(registry, ("flavor",), check=True)],
    "stand-in": registry.resolve("flavor", "vanilla", run_preset="quick").preset,
    "why": [[field.name, field.default, field.description] for field in why.fields],
    "flag": "--flavor.checkpoint" in why.facts,
    "create": spa3d.create("flavor", "sweet", cups=3).taste(),
    "needs": error(lambda: spa3d.create("flavor", "sweet")),
    "contract": error(lambda: spa3d.create("flavor", "tasteless", cups=1)),
    "reserved": error(lambda: spa3d.create("flavor", "greedy", cups=1)),
    "torch": "torch" in sys.modules,
}))
"""
    result = run_with_a_new_kind(tmp_path, "none", code)
    assert result["names"] == ["greedy", "sweet", "tasteless", "vanilla"]
    assert result["section"]
    assert result["list"] == [
        ["greedy", "broken", ""],
        ["tasteless", "broken", ""],
        ["vanilla", "imports", ""],
        ["sweet", "imports", "vanilla"],
    ]
    assert result["stand-in"] == "sweet"
    assert result["why"] == [["sweetness", "2.0", "Sugar."]]
    assert result["flag"]
    assert result["create"] == 6.0
    assert result["needs"] == "flavor 'sweet' needs cups="
    assert "leaves out taste of spa3d.Flavor" in str(result["contract"])
    assert "has a setting called checkpoint, which is the run's own word" in str(result["reserved"])
    assert not result["torch"]


@pytest.mark.parametrize(
    ("choice", "default", "typed"),
    [("one", ["vanilla"], ["sweet"]), ("several", ["vanilla", "sweet"], ["sweet", "vanilla"])],
)
def test_new_kind_can_be_chosen_by_name(tmp_path: Path, choice: str, default: list[str], typed: list[str]) -> None:
    code = f"""
import json
from spa3d.config.choices import choose
from spa3d.config.overrides import scan_run
from spa3d.config.parse import read
from spa3d.config.sources import read_source
from spa3d.registry.registry import load_registry

def names(choices):
    return [choice.name for choice in choices.components if choice.kind == "flavor"]

wish = "{",".join(typed)}"
mapping = read_source({{"flavor": wish}})
print(json.dumps({{
    "default": names(read(scan_run([]))),
    "typed": names(read(scan_run(["--flavor", wish]))),
    "mapping": names(choose([mapping], load_registry())),
}}))
"""
    result = run_with_a_new_kind(tmp_path, choice, code)
    assert result == {"default": default, "typed": typed, "mapping": typed}
