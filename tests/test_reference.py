"""A resumed run uses the reference of its start; slow, two runs per case."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import spa3d

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
WAYS = {
    "precomputed": ["--train.reference", "precomputed"],
    "precomputed, no cache": ["--no-cache"],
    "copy": ["--train.reference", "copy"],
    "adapters-off": ["--train.lora.rank", "4"],
}
MESSAGES = {
    "precomputed": "reference: scored before training",
    "precomputed, no cache": "reference: scored before training",
    "copy": "reference: a copy of the base",
    "adapters-off": "reference: the model with its adapters switched off",
}


def run(arguments: list[str], bases: Path) -> str:
    paths = os.pathsep.join([str(ROOT / "core"), str(ROOT / "plugins")])
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "run.py"), *arguments],
        env={**os.environ, "SPA3D_BASES": str(bases), "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def steps(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["stage"] == "post-train" and "loss" in row]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.mark.parametrize("way", WAYS)
def test_resumed_run_uses_the_reference_of_its_start(way: str, bases: Path, tmp_path: Path) -> None:
    pairs, folder = tmp_path / "pairs.jsonl", tmp_path / "run"
    records = spa3d.create("dataset", "shapes-smoke").records("train")
    rows = [{"record": one.id, "question": "What is it?", "chosen": "a cube", "rejected": "no idea"} for one in records]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["--preset", "smoke", "--benchmark", "choice", "--device", "cpu", "--objective", "dpo"]
    arguments += ["--pairs.path", str(pairs), "--train.learning_rate", "1e-2", "--train.keep_checkpoints", "true"]
    arguments += ["--output", str(folder), *WAYS[way]]
    assert MESSAGES[way] in run(arguments, bases)
    assert any((bases / ".reference").rglob("*.rows")) or "precomputed" not in way
    undisturbed = steps(folder)
    assert undisturbed[0]["reward_margin"] == pytest.approx(0, abs=1e-4)
    assert undisturbed[-1]["reward_margin"] > 0.01
    assert 0 <= undisturbed[-1]["reward_accuracy"] <= 1

    # As if killed after the second step.
    shutil.rmtree(folder / "model")
    shutil.rmtree(folder / "checkpoints" / "checkpoint-3")
    (folder / "predictions" / "choice.after.jsonl").unlink()
    run([*arguments, "--resume"], bases)
    assert [row["loss"] for row in steps(folder)] == [row["loss"] for row in undisturbed]
