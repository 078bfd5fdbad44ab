"""Plugins of docs/plugins.md and CONTRIBUTING.md, run and checked by their contracts."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from spa3d.cli import main
from spa3d.contracts.objective import Score, Scores
from spa3d.runtime.rng import Draws

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHORT = (
    "--preset smoke --device cpu --base.encoder.steps 1 --base.llm.steps 1 --base.align.steps 1 "
    "--base.instruct.steps 1 --train.steps 2 --evaluate.limit 4"
)
SPLITS = (("train", 24), ("val", 8), ("test", 8))


def examples() -> dict[str, str]:
    """The source of each example by the name of its file, without .py."""
    result = {}
    for page in ("CONTRIBUTING.md", "docs/plugins.md"):
        for language, text in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
            row = re.search(r'yield Component\("[a-z]+", "[a-z-]+", "(\w+):\w+"', text)
            if language == "python" and row:
                result[row[1]] = text
    return result


def arguments(name: str) -> list[str]:
    """Arguments of the command for an example in docs/plugins.md, without its run preset."""
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    (line,) = (line for line in page.splitlines() if line.startswith("tools/run.py ") and f"--plugin {name}.py" in line)
    return shlex.split(line.removeprefix("tools/run.py ").replace("--preset objects ", ""))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the examples, and clouds and captions for the dataset among them."""
    folder = tmp_path_factory.mktemp("examples")
    for name, text in examples().items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    (folder / "my_captions").mkdir()
    for split, number in SPLITS:
        clouds = Draws([(split, index) for index in range(number)]).uniform(160, 6).numpy()
        things = ("red mug", "blue chair", "green table", "white lamp")
        captions = {f"{split}{index}": f"A {things[index % 4]} of {split}, number {index}." for index in range(number)}
        for name, cloud in zip(captions, clouds, strict=True):
            np.save(folder / "my_captions" / f"{name}.npy", cloud)
        (folder / "my_captions" / f"{split}.json").write_text(json.dumps(captions), encoding="utf-8")
    return folder


@pytest.fixture
def load(home: Path) -> Callable[[str], ModuleType]:
    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"example_{name}", home / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def run(home: Path, *argv: str, output: str) -> dict:
    """The report of a short run in `home`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("SPA3D_PLUGINS", "")
        patch.setenv("SPA3D_BASES", str(home / "bases"))
        assert main(["run", *SHORT.split(), *argv, "--output", output]) == 0
    return json.loads((home / output / "report.json").read_text(encoding="utf-8"))


def test_examples_cover_the_kinds() -> None:
    assert set(examples()) == {"hinge", "octants", "captions", "yes_no", "drift"}


def test_run_encoder_benchmark_noise(home: Path) -> None:
    argv = [word for name in ("octants", "yes_no", "drift") for word in arguments(name)]
    report = run(home, *argv, output="runs/three")
    assert report["status"] == "complete"
    assert report["passport"]["plugins"] == ["octants.py", "yes_no.py", "drift.py"]
    assert report["config"]["encoder"]["component"] == "octants"
    assert report["config"]["encoder"]["config"]["width"] == 32
    assert report["config"]["noise"]["component"] == "drift"
    assert report["config"]["noise"]["config"]["level"] == 0.5
    assert report["benchmarks"]["yes-no"]["before"]["chance"] == 0.5
    assert report["benchmarks"]["yes-no"]["before"]["n"] > 0


def test_run_dataset(home: Path) -> None:
    report = run(home, *arguments("captions"), "--benchmark", "choice", output="runs/captions")
    assert report["status"] == "complete"
    assert report["data"]["dataset"] == "captions"
    assert report["data"]["splits"] == dict(SPLITS)
    assert report["benchmarks"]["choice"]["before"]["chance"] == 0.25


def test_octants_average_their_points(load: Callable[[str], ModuleType]) -> None:
    encoder = load("octants").Octants(width=4).eval()
    points = torch.tensor([[[0.5, 0.5, 0.5, 0, 0, 1], [0.2, 0.7, 0.1, 1, 0, 0], [-0.5, 0.5, 0.5, 0, 1, 0]]])
    tokens = encoder(points)
    assert tokens.shape == (1, encoder.num_tokens(3), encoder.dim)
    features = encoder.layers(points)[0]
    torch.testing.assert_close(tokens[0, 7], features[:2].mean(dim=0))
    torch.testing.assert_close(tokens[0, 6], features[2])
    assert not tokens[0, :6].any()


def test_drift_depends_on_keys_alone(load: Callable[[str], ModuleType]) -> None:
    points = torch.rand(2, 50, 6)
    keys = [(0, 0, "a", "noised"), (0, 0, "b", "noised")]
    both = load("drift").Drift(level=0.5).apply(points, Draws(keys))
    alone = load("drift").Drift(level=0.5).apply(points[1:], Draws(keys[1:]))
    assert torch.equal(both[1:], alone)
    assert not torch.equal(both, points)
    assert (both - points)[..., :3].norm(dim=-1).max() <= 0.5
    assert torch.equal(load("drift").Drift(level=0).apply(points, Draws(keys)), points)


def test_hinge_of_an_absent_view_costs_nothing(load: Callable[[str], ModuleType]) -> None:
    mask = torch.ones(3, 5, dtype=torch.bool)
    seen = mask & torch.tensor([True, False, True])[:, None]
    rounds = torch.zeros(3, 5, dtype=torch.long)
    clean = torch.full((3, 5), -1.0, requires_grad=True)
    scores = {
        ("chosen", "clean", "policy"): Score(clean, mask, rounds),
        ("chosen", "noised", "policy"): Score(torch.full((3, 5), -1.0) * seen, seen, rounds),
    }
    (term,) = load("hinge").Hinge(margin=7.0).terms(Scores(scores))
    assert term.values.tolist() == [7.0, 0.0, 7.0]
    term.values.sum().backward()
    assert clean.grad is not None
    assert clean.grad.any(dim=1).tolist() == [True, False, True]
