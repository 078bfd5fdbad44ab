"""Rules for every setting, hook, component and file of the repository, present and future.

A failing rule names what to add, or the list to change deliberately.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pluggy
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from spa3d.config.parse import parse
from spa3d.config.settings import EncoderSelection, RunConfig, Selection
from spa3d.registry import hookspecs
from spa3d.registry.component import Component
from spa3d.registry.fields import is_block, show
from spa3d.registry.kinds import KINDS, settings_keys
from spa3d.registry.registry import load_registry

ROOT = Path(__file__).parents[1]
REGISTRY = load_registry(ROOT / "registry.yaml", environ={"SPA3D_PLUGINS": ""})
ROWS = [row for kind in KINDS for row in REGISTRY.components(kind)]

LONG_FILES: dict[str, str] = {}
"""Product files of more than 300 lines, and why."""
LONG_FUNCTIONS = {
    "core/spa3d/model/modeling.py:forward": "half of it documents transformers' arguments",
}
"""Product functions of more than 50 lines, and why."""

MAKE_TARGETS = ["setup", "run", "test", "test-slow", "lint", "bench", "gpu", "kernels", "test-kernels", "browser"]
DUMPING_GROUNDS = {"util", "utils", "common", "helper", "helpers", "misc"}
HOME = re.compile(r"(?<![\w.])/(work|root|home)/")


@pytest.fixture(autouse=True)
def _only_what_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)


def leaves(model: type[BaseModel], *keys: str) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Fields of a configuration with their keys, without the choices of components."""
    for name, field in model.model_fields.items():
        inner: Any = field.annotation
        if Selection in (inner, *get_args(inner)):
            continue
        if inner is EncoderSelection:
            yield (name, "checkpoint"), EncoderSelection.model_fields["checkpoint"]
        elif is_block(field):
            yield from leaves(inner, *keys, name)
        else:
            yield (*keys, name), field


OWN = dict(leaves(RunConfig))
TAKEN = {
    f"{row.kind}-{row.name}.{'.'.join(keys)}": (row, keys, field)
    for row in ROWS
    if not REGISTRY.describe_unmet(row)
    for keys, field in leaves(REGISTRY.target(row).Config)
}
WORDS = {
    ("device",): "cpu",
    ("ops",): "torch",
    ("base", "path"): ".",
    ("encoder", "checkpoint"): ".",
    ("llm", "hidden_size"): "48",
    ("root",): "elsewhere",
    ("pattern",): "{id}.npy",
    ("prompt",): "What is it?",
    ("inputs",): "xyz",
    ("pointbert", "width"): "256",
    ("pointbert", "heads"): "2",
    ("pointmlp", "blocks"): "2,1",
    ("pointnet2", "centers"): "48,16",
    ("pointnet2", "radius"): "0.25,0.5",
    ("pointnet2", "nsample"): "8,4",
    ("pointnet2", "widths"): "[[8,16], [16,32]]",
    ("pointnet2", "last"): "64,32",
    ("strides",): "1,2,1",
    ("head",): "64",
    ("points",): "4096",
    ("widths",): "7",
    ("clip",): "5.0",
}
"""Valid values of settings that cannot be derived from the type, for one component or for all."""
TYPED = {
    ("preset",): ["--preset", "smoke"],
    ("blind",): ["--blind"],
    ("cache",): ["--no-cache"],
    ("llm_name",): ["--llm", "someone/a-model"],
    ("plugins",): ["--plugin", "spa3d_plugins"],
    ("registry",): ["--registry", str(ROOT / "tests" / "sample_plugins" / "extra.yaml")],
}
"""Settings of a run whose flags have other names."""


def another(keys: tuple[str, ...], field: FieldInfo, now: Any, owner: str = "") -> str:
    """Text of a valid value of the field that differs from `now`."""
    if (owner, *keys) in WORDS:
        return WORDS[owner, *keys]
    if keys in WORDS:
        return WORDS[keys]
    inner = field.annotation
    if inner is bool:
        return show(not now)
    if inner is str:
        return f"{now}x"
    if inner in (int, float):
        near = (type(now)(value) for value in (now + 1, now - 1, now / 2, 0.5))
        return show(next(value for value in near if value != now and _is_allowed(value, field)))
    words = [word for part in (inner, *get_args(inner)) for word in get_args(part) if isinstance(word, str)]
    return next((word for word in words if word != now), "one,two")


def _is_allowed(value: float, field: FieldInfo) -> bool:
    rules = {"ge": value.__ge__, "gt": value.__gt__, "le": value.__le__, "lt": value.__lt__}
    bounds = [(name, getattr(rule, name)) for rule in field.metadata for name in rules if hasattr(rule, name)]
    return all(rules[name](type(value)(bound)) for name, bound in bounds)


def lacks_bounds(annotation: Any, rules: Iterable[Any]) -> bool:
    """Whether a number in an annotation lacks a lower or an upper bound."""
    rules = [inner for rule in rules for inner in getattr(rule, "metadata", [rule])]
    if get_origin(annotation) is Annotated:
        inside, *inner = get_args(annotation)
        return lacks_bounds(inside, [*inner, *rules])
    if annotation in (int, float):
        names = {name for rule in rules for name in ("ge", "gt", "le", "lt") if hasattr(rule, name)}
        return not (names & {"ge", "gt"} and names & {"le", "lt"})
    return any(lacks_bounds(inner, rules) for inner in get_args(annotation))


@cache
def settings(*argv: str) -> dict[tuple[str, ...], Any]:
    """All settings that result from a command line, by their keys."""

    def flat(values: dict[str, Any], *keys: str) -> dict[tuple[str, ...], Any]:
        result: dict[tuple[str, ...], Any] = {}
        for key, value in values.items():
            result |= flat(value, *keys, key) if isinstance(value, dict) else {(*keys, key): value}
        return result

    config = parse(argv).config.model_dump(mode="json")
    config["benchmark"] = {each["requested"]: each for each in config["benchmark"]}
    return flat(config)


class TestSettings:
    @pytest.mark.parametrize("model", [RunConfig, Selection, EncoderSelection], ids=lambda model: model.__name__)
    def test_every_setting_of_a_run_is_described(self, model: type[BaseModel]) -> None:
        assert [".".join(keys) for keys, field in leaves(model) if not field.description] == []

    def test_every_setting_of_a_component_is_described(self) -> None:
        assert [name for name, (_, _, field) in TAKEN.items() if not field.description] == []

    def test_every_number_has_a_lower_and_an_upper_bound(self) -> None:
        fields = {".".join(keys): field for keys, field in leaves(RunConfig)}
        fields |= {name: field for name, (_, _, field) in TAKEN.items()}
        assert len(fields) > 100
        assert [name for name, field in fields.items() if lacks_bounds(field.annotation, field.metadata)] == []

    @pytest.mark.parametrize("keys", OWN, ids=".".join)
    def test_every_setting_of_a_run_has_a_flag(
        self, keys: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        if keys in TYPED:
            assert settings(*TYPED[keys])[keys] != settings()[keys]
            return
        partners = {"epochs": ("steps", "0"), "contrast_alpha": ("decode", "contrast")}
        partners["contrast_cutoff"] = partners["contrast_alpha"]
        name, value = partners.get(keys[-1], ("rank", "2"))  # without it the setting has no effect
        partner = (*keys[:-1], name)
        on = ("--" + ".".join(partner), value)
        needed = on if partner in OWN and partner != keys else ()
        before = settings(*needed)
        typed = another(keys, OWN[keys], before[keys])
        flag = f"--{'.'.join((keys[0].replace('_', '-'), *keys[1:]))}"
        after = settings(*needed, flag, typed)
        assert show(after[keys]) == typed
        assert {key for key in after if after[key] != before[key]} == {keys}

    @pytest.mark.parametrize("name", TAKEN)
    def test_every_setting_of_a_component_has_a_flag(self, name: str) -> None:
        row, keys, field = TAKEN[name]
        start = settings_keys(row.kind, row.name)
        required = [key for key, each in REGISTRY.target(row).Config.model_fields.items() if each.is_required()]
        needed = [word for key in required for word in (f"--{'.'.join((*start, key))}", "somewhere")]
        chosen = (f"--{row.kind}", row.name, *needed)
        flag, changed = f"--{'.'.join((*start, *keys))}", (*start, "config", *keys)
        before = settings(*chosen)
        typed = another(keys, field, before[changed], row.name)
        after = settings(*(chosen if flag not in chosen else chosen[:2]), flag, typed)
        assert show(after[changed]) == typed
        assert {key for key in after if after[key] != before[key]} == {changed}

    def test_every_flag_is_in_the_list_of_settings(self) -> None:
        text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
        flags = [f"--{'.'.join((keys[0].replace('_', '-'), *keys[1:]))}" for keys in OWN if keys not in TYPED]
        flags += [words[0] for words in TYPED.values()]
        for row, keys, _ in TAKEN.values():
            flags.append(f"--{'.'.join((*settings_keys(row.kind, row.name), *keys))}")
        stage = re.compile(r"^--base\.(encoder|llm|align|instruct)\.")
        assert [flag for flag in flags if f"`{stage.sub('--base.STAGE.', flag)}`" not in text] == []


class TestComponents:
    @pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind}-{row.name}")
    def test_components_have_a_test_file_and_a_line_in_the_readme(self, row: Component) -> None:
        package, folder, stem = row.target.partition(":")[0].split(".")
        assert package == "spa3d_plugins"
        assert stem == row.name.replace("-", "_")
        assert "def test_" in (ROOT / "tests" / "plugins" / folder / f"test_{stem}.py").read_text(encoding="utf-8")
        lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        assert any(f"`{row.name}`" in line and line.startswith("|") for line in lines)

    def test_hooks_are_explained_and_tested(self) -> None:
        manager = pluggy.PluginManager("spa3d")
        manager.add_hookspecs(hookspecs)
        hooks = [name for name in vars(manager.hook) if not name.startswith("_")]
        assert hooks
        explained = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        tests = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("*.py")))
        for hook in hooks:
            assert f"{hook}(" in explained, f"CONTRIBUTING.md does not say what {hook} is for"
            assert f"def {hook}(" in tests, f"no test has a plugin with {hook}"


DIALECT = re.compile(
    r"about|faults?|cure|complaint|misfits|asked|told|given|held|accepted|Asked|Answerer|Units|Column|Sides|Measured|"
    r"[Ll]esson|[Tt]alk|[Oo]pening|SampleStream|Clouds|Frozen|Precomputed|Watch|claimed|ingredients|noise_mark|Ledger|"
    r"Gathering|Commission|Corruption|corrupted|augmented|swapped|Wish|Sparingly|Brief|[Ff]illing|lay_all|first_named|"
    r"published|not_given|stand_in|sound_cloud|strangers|adopt|rewind|[Jj]ournal|Probe|place|found|said|wanted"
)
"""Names that say nothing to a stranger, where the field has a word of its own."""
BRITISH = re.compile(
    r"colour|(normal|token|real|optim|summar|initial|serial|recogn)is|neighbour|grey|centre|licence|labelled"
)


PARTICIPLE = re.compile(
    r"(?!(em)?bed$|feed$|need$|seed$|speed$|heed$)[a-z]+ed|"
    r"built|done|drawn|found|given|gone|held|kept|known|laid|lost|made|met|said|seen|shown|spoken|taken|told|written"
)
"""Single participles, which name neither a value nor an action."""
NO_VERB = re.compile(r"again|everything|explicit|fresh|lucky|missing|of|only|other|own|several|usual|whole|without")
"""Other single words that a function may not be called."""
NAMED_BY_CONTRACT = {"done"}
"""Participles that stay: `Stage.done` is a word of the architecture, as in ``Future.done()``."""
MOST_PARAMETERS = 6
EXEMPT_FROM_COUNTING = {
    "core/spa3d/model/modeling.py:forward": "transformers calls it with these names",
    "core/spa3d/pipeline/evaluate_model.py:evaluate": "a public function of independent keywords, see docs/api.md",
    "core/spa3d/model/processing.py:__init__": "transformers saves and restores processors by these names",
    "plugins/spa3d_plugins/ops/triton.py:_fps_large": "a Triton kernel takes pointers and numbers one by one",
    "plugins/spa3d_plugins/ops/triton.py:_knn": "a Triton kernel",
    "plugins/spa3d_plugins/ops/triton.py:_ball_query": "a Triton kernel",
}
"""Functions with more parameters, and why."""
FIRST_LINE = 90
"""Largest length of the first line of a docstring."""
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
Definition = FUNCTION | ast.ClassDef


def definitions(paths: list[Path]) -> Iterator[tuple[Path, Definition]]:
    """All functions and classes of some files, inner ones as well."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Definition):
                yield path, node


class TestNames:
    def test_classes_functions_and_variables_have_usual_names(self) -> None:
        wrong = []
        for path in sources():
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [node.name.strip("_")] if isinstance(node, FUNCTION | ast.ClassDef) else []
                if isinstance(node, ast.arguments):
                    names = [argument.arg for argument in (*node.posonlyargs, *node.args, *node.kwonlyargs)]
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    names = [node.id]
                wrong += [f"{path.name}: {name}" for name in names if DIALECT.fullmatch(name) or BRITISH.search(name)]
        assert wrong == []

    def test_functions_are_not_named_by_a_single_participle(self) -> None:
        named = [(path, node.name.strip("_")) for path, node in definitions(sources()) if isinstance(node, FUNCTION)]
        wrong = [(path, name) for path, name in named if PARTICIPLE.fullmatch(name) or NO_VERB.fullmatch(name)]
        assert [f"{path}: {name}" for path, name in wrong if name not in NAMED_BY_CONTRACT] == []

    def test_functions_have_few_parameters(self) -> None:
        many = set()
        for path, node in definitions(product()):
            if isinstance(node, FUNCTION):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                if len([each for each in arguments if each.arg not in ("self", "cls")]) > MOST_PARAMETERS:
                    many.add(f"{path.relative_to(ROOT).as_posix()}:{node.name}")
        assert many == set(EXEMPT_FROM_COUNTING)

    def test_docstrings_begin_with_a_short_line(self) -> None:
        long = []
        for path in sources():
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in (tree, *(node for node in ast.walk(tree) if isinstance(node, Definition))):
                line = (ast.get_docstring(node) or "").partition("\n")[0]
                if len(line) > FIRST_LINE:
                    long.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}: {line}")
        assert long == []


class TestFiles:
    def test_tools_folder_has_two_files(self) -> None:
        there = {path.name for path in (ROOT / "tools").iterdir() if path.name != "__pycache__"}
        assert there == {"list", "run.py"}

    def test_no_module_has_a_catch_all_name(self) -> None:
        named = {path: set(path.with_suffix("").parts) & DUMPING_GROUNDS for path in repository()}
        assert {path: words for path, words in named.items() if words} == {}

    def test_no_file_names_a_path_of_a_machine(self) -> None:
        result = []
        for path in repository():
            raw = (ROOT / path).read_bytes()
            text = "" if b"\0" in raw else raw.decode("utf-8")
            result += [f"{path}: {line.strip()}" for line in text.splitlines() if HOME.search(line)]
        assert result == []

    def test_long_files_and_functions_are_listed_with_a_reason(self) -> None:
        files, functions = set(), set()
        for path in product():
            text = path.read_text(encoding="utf-8")
            name = path.relative_to(ROOT).as_posix()
            if len(text.splitlines()) > 300:
                files.add(name)
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 50:
                    functions.add(f"{name}:{node.name}")
        assert files == set(LONG_FILES)
        assert functions == set(LONG_FUNCTIONS)

    def test_make_targets_are_complete(self) -> None:
        text = (ROOT / "Makefile").read_text(encoding="utf-8")
        named = [name for line in re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE) for name in line.split()]
        defined = re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE)
        assert sorted(named) == sorted(defined) == sorted(MAKE_TARGETS)

    def test_import_spa3d_loads_no_heavy_package(self) -> None:
        heavy = "print(*sorted({'torch', 'transformers', 'numpy', 'spa3d_plugins'} & set(sys.modules)))"
        program = f"import sys, spa3d, spa3d.cli, spa3d.cli.list; spa3d.Component, spa3d.hookimpl; {heavy}"
        path = os.pathsep.join(str(ROOT / folder) for folder in ("core", "plugins"))
        environment = {**os.environ, "PYTHONPATH": path}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split() == []


def product() -> list[Path]:
    return sorted(path for folder in ("core", "plugins") for path in (ROOT / folder).rglob("*.py"))


def sources() -> list[Path]:
    """Every Python file of the repository: product, tests, benchmarks and tools."""
    return [ROOT / path for path in repository() if path.suffix == ".py"]


def repository() -> list[Path]:
    """The files under version control, relative to the root."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout, so nothing says which files belong to it")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]
