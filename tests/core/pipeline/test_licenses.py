from __future__ import annotations

import json
from pathlib import Path

import pytest

from spa3d.config.parse import parse
from spa3d.pipeline.licenses import UNKNOWN, find_licenses, read_license

OWN = "Apache-2.0 (spa3d)"


@pytest.fixture(autouse=True)
def _what_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)


def licenses(*argv: str) -> dict[str, str]:
    invocation = parse(argv)
    return find_licenses(invocation.config, invocation.registry)


def test_find_licenses_of_the_embedded_world() -> None:
    assert licenses("--preset", "smoke") == {
        "encoder pointnext": "MIT",
        "projector mlp": OWN,
        "dataset shapes": OWN,
        "LLM tiny": "trained from nothing by this run",
    }


def test_find_licenses_of_weights_data_and_an_llm_of_others(tmp_path: Path) -> None:
    (tmp_path / "llm").mkdir()
    (tmp_path / "llm" / "README.md").write_text("---\nlicense: llama3\n---\n\nA model.\n")
    (tmp_path / "w.pt").touch()
    there = licenses(
        *("--encoder", "pointbert-pointllm", "--encoder.checkpoint", str(tmp_path / "w.pt")),
        *("--llm", str(tmp_path / "llm"), "--dataset", "pointllm", "--dataset.root", str(tmp_path)),
    )
    assert there["encoder weights w.pt"] == "CC-BY-NC-4.0 (the model page's)"
    assert there["LLM llm"] == "llama3"
    assert there["dataset pointllm"] == UNKNOWN
    assert licenses("--llm", "owner/name")["LLM owner/name"] == "that of https://huggingface.co/owner/name"


def test_find_licenses_of_a_base_are_those_in_its_passport(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert licenses("--base", str(tmp_path))[f"base {tmp_path.name}"] == UNKNOWN
    passport = {"licenses": {"LLM x": "llama3", "encoder y": "MIT"}}
    (tmp_path / "model" / "passport.json").write_text(json.dumps(passport))
    there = licenses("--base", str(tmp_path))
    assert there[f"base {tmp_path.name}"] == "LLM x: llama3; encoder y: MIT"
    assert not [name for name in there if name.startswith("LLM")]


@pytest.mark.parametrize(
    ("card", "license_"),
    [
        ("---\nlicense: other\nlicense_name: mine\n---\n", "mine"),
        ("---\nlanguage: en\n---\n", UNKNOWN),
        ("# no metadata\n", UNKNOWN),
        ("---\nlicense: [\n---\n", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_read_license_of_a_card(tmp_path: Path, card: str | None, license_: str) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert read_license(str(tmp_path)) == license_
