"""Examples in README and CONTRIBUTING: plugins, commands, Python and the tree of files."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spa3d.cli import main
from spa3d.config.parse import parse
from spa3d.runtime.rng import Draws

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHECKPOINTS, CLOUDS, PLUGINS, RUNS_PAGE = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("checkpoints", "clouds", "plugins", "runs")
)
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUNS = ("tools/run.py", "spa3d run", "torchrun --nproc_per_node 8 tools/run.py")
STEPS = {"device": "cpu", "train.steps": 2, "evaluate.limit": 4} | {
    f"base.{stage}.steps": 1 for stage in ("encoder", "llm", "align", "instruct")
}
SHORT = (
    "--preset smoke --benchmark choice,classify --device cpu --base.encoder.steps 1 --base.llm.steps 1 "
    "--base.align.steps 1 --base.instruct.steps 1 --train.steps 2 --evaluate.limit 4"
)


def blocks(page: str, language: str) -> list[str]:
    return [text for name, text in FENCED.findall(page) if name == language]


def plugin(page: str, row: str = "Component(") -> str:
    (result,) = (text for text in blocks(page, "python") if f"yield {row}" in text)
    return result


def commands() -> Iterator[list[str]]:
    """Arguments of the runs on the pages."""
    for page in (README, CONTRIBUTING, CHECKPOINTS, CLOUDS, RUNS_PAGE):
        for line in "\n".join(blocks(page, "sh")).splitlines():
            start = next((start for start in RUNS if line.startswith(f"{start} ")), None)
            if start:
                yield shlex.split(line.removeprefix(start), comments=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_pointllm: Callable[..., Any]) -> Path:
    """Folder with both plugins, captioned clouds in the README's layout, and named files."""
    folder = tmp_path_factory.mktemp("home")
    make_pointllm(folder / "path" / "to" / "PointLLM_7B_v1.2")
    (folder / "dusk.py").write_text(plugin(README), encoding="utf-8")
    (folder / "hinge.py").write_text(plugin(CONTRIBUTING), encoding="utf-8")
    for name in ("my_clouds/8192_npy", "my_clouds/anno_data", "path/to/a-causal-lm", "runs/anchored/model"):
        (folder / name).mkdir(parents=True)
    (folder / "point_bert_v1.2.pt").touch()
    for split, number in (("train", 24), ("val", 8), ("test", 8)):
        write_split(folder / "my_clouds", split, number)
    return folder


def write_split(root: Path, split: str, number: int) -> None:
    clouds = Draws([(split, index) for index in range(number)]).uniform(160, 6).numpy().astype("float32")
    conversations: list[dict[str, Any]] = []
    for index, cloud in enumerate(clouds):
        thing = ("red mug", "blue chair", "green table", "white lamp")[index % 4]
        turns = [
            {"from": "human", "value": "<point>\nWhat is this?"},
            {"from": "gpt", "value": f"A {thing} of {split}, with a number, {index}, on it."},
        ]
        conversations.append(
            {"object_id": f"{split}{index}", "conversation_type": "simple_description", "conversations": turns}
        )
        np.save(root / "8192_npy" / f"{split}{index}_8192.npy", cloud)
    (root / "anno_data" / f"mine_{split}.json").write_text(json.dumps(conversations), encoding="utf-8")


@pytest.fixture(scope="module")
def finished_run(home: Path) -> Path:
    """One run on these clouds with both plugins."""
    argv = "--dataset pointllm --dataset.root my_clouds --plugin dusk.py --noise dusk --noise.level 0.5 "
    argv += "--plugin hinge.py --objective hinge --objective.margin 2 --output runs/mine"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("SPA3D_PLUGINS", "")
        patch.setenv("SPA3D_BASES", str(home / "bases"))
        assert main(["run", *SHORT.split(), *argv.split()]) == 0
    return home / "runs" / "mine"


def test_readme_plugin_has_twelve_lines() -> None:
    assert len(plugin(README).splitlines()) == 12
    assert "A plugin in twelve lines" in README


def test_plugins_of_both_pages_run_on_clouds_in_the_documented_layout(finished_run: Path) -> None:
    report = json.loads((finished_run / "report.json").read_text(encoding="utf-8"))
    config = report["config"]
    assert report["status"] == "complete"
    assert report["data"]["splits"] == {"train": 24, "val": 8, "test": 8}
    assert report["passport"]["plugins"] == ["dusk.py", "hinge.py"]
    assert (config["noise"]["component"], config["noise"]["config"]["level"]) == ("dusk", 0.5)
    assert (config["objective"]["component"], config["objective"]["config"]["margin"]) == ("hinge", 2.0)
    rows = [json.loads(row) for row in (finished_run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(row["noise_level"] == 0.5 for row in rows if row["stage"] == "post-train" and "loss" in row)


def test_presets_of_the_plugins_page_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    Path("page_presets.py").write_text(plugin(PLUGINS, "Preset("), encoding="utf-8")
    Path("extra.yaml").write_text(*blocks(PLUGINS, "yaml"), encoding="utf-8")
    words = "--plugin page_presets.py --registry extra.yaml --preset overnight"
    result = parse([*words.split(), "--encoder", "pointnext-mine"]).config
    assert (result.encoder.preset, result.noise.component, result.train.steps) == ("pointnext-mine", "gaussian", 2000)
    assert parse(words.split()).config.encoder.preset == "pointnext-thin"


def test_clouds_without_facts_get_caption_questions(finished_run: Path) -> None:
    report = json.loads((finished_run / "report.json").read_text(encoding="utf-8"))
    assert report["benchmarks"]["choice"]["before"]["n"] == 4
    assert report["benchmarks"]["choice"]["before"]["chance"] == 0.25
    assert report["not_asked"] == ["classify"]


def test_python_examples_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = (text for text in blocks(README, "python") if "spa3d.run(" in text)
    monkeypatch.chdir(home)
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.setenv("SPA3D_BASES", str(home / "bases"))
    names: dict[str, Any] = {}
    exec(text.replace('"preset": "smoke"', f'"preset": "smoke", **{STEPS}'), names)
    assert (home / "runs" / "from-python" / "report.html").is_file()
    assert names["answers"].scores["choice"]["clean"]["chance"] == 0.25


def test_an_encoder_by_itself() -> None:
    (text,) = (text for text in blocks(CHECKPOINTS, "python") if "encoder.pool" in text)
    names: dict[str, Any] = {}
    exec(text, names)
    assert (names["tokens"].shape, names["feature"].shape) == ((2, 512, 512), (2, 256))


def test_point_operations_example_runs() -> None:
    (text,) = blocks((ROOT / "docs" / "point-operations.md").read_text(encoding="utf-8"), "python")
    names: dict[str, Any] = {"xyz": torch.rand(1, 600, 3), "values": torch.rand(1, 512, 4)}
    exec(text, names)
    assert (names["ball"].shape, names["features"].shape) == ((1, 512, 32), (1, 600, 4))


@pytest.mark.parametrize("argv", list(commands()), ids=" ".join)
def test_documented_commands_parse(home: Path, argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    assert parse(argv).config.preset in ("embedded", "objects")


def test_tree_in_the_readme_is_complete() -> None:
    section = README.partition("## Where things are\n")[2].partition("\n## ")[0]
    named, inside = set(), ""
    for indent, names in re.findall(r"^    ( *)(\S+(?:, \S+)*)  ", section, re.MULTILINE):
        for name in names.split(", "):
            inside = inside if indent else name
            path = ROOT / (inside + name if indent else name)
            assert path.exists(), f"the tree names {path.relative_to(ROOT)}"
            named.add(name.partition("/")[0] if not indent else inside.partition("/")[0])
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    top = {line.partition("/")[0] for line in listed.splitlines()} - {".gitignore", "README.md"}
    assert top <= named
