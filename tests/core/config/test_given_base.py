"""Settings that the base decides, and none from a folder that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spa3d.config.given_base import base_source
from spa3d.config.sources import read_source

OWN = {
    "encoder": {"name": "pointnext", "config": {"width": 8}},
    "projector": {"name": "mlp", "config": {"widths": [4]}},
}
PROCESSOR = {
    "points": {"count": 32, "method": "random", "normalize": False, "missing_color": 0.5},
    "point_tokens": ["<a>", "<b>", "<c>"],
}


def write(folder: Path, config: Any = OWN, processor: Any = PROCESSOR) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "processor_config.json").write_text(json.dumps(processor))
    return folder


@pytest.mark.parametrize("settings", [{"base": "PATH"}, {"base.path": "PATH"}, {"base": {"path": "PATH"}}])
def test_base_source_has_the_parts_of_the_base(tmp_path: Path, settings: dict[str, Any]) -> None:
    write(tmp_path / "model")
    source = base_source([read_source(json.loads(json.dumps(settings).replace("PATH", str(tmp_path))))])
    assert source is not None
    assert {kind: name.name for kind, name in source.names.items()} == {"encoder": "pointnext", "projector": "mlp"}
    values = {each.keys: each.value for each in source.assignments}
    assert values["encoder",] == {"width": 8}
    assert values["projector",] == {"widths": [4]}
    assert values["llm",] == {"point_start": "<a>", "point_patch": "<b>", "point_end": "<c>"}
    points = {"count": 32, "resample": "random", "normalize": False, "missing_color": 0.5}
    assert values[()] == {"points": points}
    assert source.names["encoder"].location == f"--base {tmp_path}"


def test_base_source_reads_the_strongest_base(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", {**OWN, "encoder": {"name": "pointbert", "config": {}}})
    sources = [read_source({"base": str(tmp_path / "a")}), read_source({"base.path": str(tmp_path / "b")})]
    source = base_source(sources)
    assert source is not None
    assert source.names["encoder"].name == "pointbert"


@pytest.mark.parametrize("config", [[], {}, {"encoder": 3}, {"model_type": "pointllm"}, {"model_type": "llama"}])
def test_base_source_has_nothing_of_another_folder(tmp_path: Path, config: Any) -> None:
    assert base_source([read_source({"base": str(write(tmp_path / "x", config))})]) is None
    deep = write(tmp_path / "deep") / "processor_config.json"
    deep.write_text("[" * 100_000)
    assert base_source([read_source({"base": str(deep.parent)})]) is None
    assert base_source([read_source({"base": str(tmp_path / "nowhere")})]) is None
    assert base_source([read_source({})]) is None
