from __future__ import annotations

from pathlib import Path

import pytest

from spa3d.errors import RegistryError
from spa3d.registry.component import Component
from spa3d.registry.manifest_file import find_manifest, load_manifest

ROOT = Path(__file__).parents[3]


def write(folder: Path, text: str) -> Path:
    path = folder / "registry.yaml"
    path.write_text(text)
    return path


def load_error(folder: Path, text: str) -> str:
    with pytest.raises(RegistryError) as caught:
        load_manifest(write(folder, text))
    return str(caught.value)


def test_load_manifest_shipped_registry_is_valid() -> None:
    manifest = load_manifest(find_manifest(environ={}))
    assert set(manifest.defaults.names("encoder")) <= set(manifest.components["encoder"])
    assert {row.kind for row in manifest.rows()} >= {"encoder", "noise", "objective", "dataset", "benchmark"}


def test_rows_have_every_field(toy_registry: Path) -> None:
    rows = {row.name: row for row in load_manifest(toy_registry).rows()}
    assert rows["plain"] == Component(
        "encoder", "plain", "toy_parts:ToyEncoder", "A plain encoder", source="a paper", license="MIT"
    )
    assert rows["compiled"].requires == ("kernel_nobody_has",)


def test_location_names_file_line_and_key(toy_registry: Path) -> None:
    manifest = load_manifest(toy_registry)
    line = toy_registry.read_text().splitlines().index("  objective: fit") + 1
    assert manifest.location("defaults", "objective") == f"{toy_registry}:{line} defaults.objective"
    assert manifest.location("defaults", "nothing").startswith(f"{toy_registry}:")


def test_find_manifest_order(tmp_path: Path) -> None:
    explicit, named = tmp_path / "given.yaml", tmp_path / "named.yaml"
    explicit.touch()
    named.touch()
    assert find_manifest(explicit, {"SPA3D_REGISTRY": str(named)}) == explicit
    assert find_manifest(None, {"SPA3D_REGISTRY": str(named)}) == named
    assert find_manifest(None, {}).name == "registry.yaml"


@pytest.mark.parametrize(
    ("path", "environ", "origin"),
    [("x.yaml", {}, "x.yaml: "), (None, {"SPA3D_REGISTRY": "y.yaml"}, "$SPA3D_REGISTRY y.yaml")],
)
def test_find_manifest_missing_file_names_its_origin(path: str | None, environ: dict[str, str], origin: str) -> None:
    with pytest.raises(RegistryError, match="no such file") as caught:
        find_manifest(Path(path) if path else None, environ)
    assert str(caught.value).startswith(origin)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("version: 1\nplugin: {}\n", 2, "plugin: unknown key"),
        ("version: 2\n", 1, "this spa3d reads version 1"),
        ("version: 1\ncomponents:\n  encodr: {}\n", 3, "no kind of component"),
        ("version: 1\ncomponents:\n  noise:\n    Bad_Name: {target: a:B, summary: s}\n", 4, "no name"),
        ("version: 1\ncomponents:\n  noise:\n    n:\n      summary: s\n", 4, "target: is missing"),
        ("version: 1\ncomponents:\n  noise:\n    n: {target: a:B, summary: s, sumary: t}\n", 4, "sumary: unknown key"),
        ("version: 1\nversion: 1\n", 2, "'version' is there twice, first in line 1"),
        ("version: 1\npresets:\n  noise:\n    soft:\n      component: hard\n", 5, "no noise 'hard'"),
        (
            "version: 1\npresets:\n  run:\n    fast:\n      default_presets:\n        noise: {a: b}\n",
            6,
            "no noise 'b' in this file",
        ),
        ("version: 1\npresets:\n  run:\n    fast:\n      settings: {noise: a}\n", 5, "default_presets"),
        (
            "version: 1\npresets:\n  compare:\n    a: {budget: time}\n",
            4,
            "budget: must be 'steps'",
        ),
        (
            "version: 1\npresets:\n  noise:\n    soft:\n      component: hard\n      weights: {file: f}\n",
            6,
            "only an encoder's preset has published weights",
        ),
        ("version: 1\nx: [1, 2\n", 3, "not YAML"),
        ("version: 1\n? [a, b]\n: c\n", 2, "keys are text"),
        ("version: 1\n7: c\n", 2, "keys are text"),
        ("version: 1\na: &a\n  b: *a\n", 2, "an alias stands for a block that it is part of"),
    ],
)
def test_load_manifest_error_names_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    message = load_error(tmp_path, text)
    assert f"registry.yaml:{line}" in message
    assert words in message


def test_load_manifest_reports_all_errors(tmp_path: Path) -> None:
    text = (
        "version: 1\ncomponents: {noise: {mask: {target: a:B, summary: s}}}\n"
        "presets:\n  noise:\n    mask: {component: mask}\n    soft: {component: gone}\n"
    )
    message = load_error(tmp_path, text)
    assert "registry.yaml:5" in message
    assert "registry.yaml:6" in message
    assert "rename one of them" in message


def test_load_manifest_rejects_lists_and_binary_files(tmp_path: Path) -> None:
    assert "expected a block" in load_error(tmp_path, "- a\n- b\n")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RegistryError, match="not UTF-8 at byte 0"):
        load_manifest(path)
    with pytest.raises(RegistryError, match="cannot be read"):
        load_manifest(tmp_path)
