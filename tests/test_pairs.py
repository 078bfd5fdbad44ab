"""Preference pairs in whole runs from the command line; slow: a base and three processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
DEADLY = '''
import os
import signal

import torch.nn.functional as F

from spa3d import Component, Noise, NoiseConfig, Objective, hookimpl
from spa3d.contracts.objective import Need, Term


class Deadly(Noise):
    """Noise that kills the process at call number DIES_AT; the first call is the trial before the work."""

    Config = NoiseConfig
    calls = 0

    def apply(self, points, draws):
        Deadly.calls += 1
        if Deadly.calls == int(os.environ.get("DIES_AT", "0")):
            os.kill(os.getpid(), signal.SIGKILL)
        return points + self.level * draws.normal(*points.shape[1:])


class Preference(Objective):
    needs = (Need("chosen"), Need("rejected"))

    def terms(self, scores):
        margin = scores["chosen", "clean"].mean_logp - scores["rejected", "clean"].mean_logp
        return (Term("preference", -F.logsigmoid(margin), "sequence"),)


@hookimpl
def spa3d_components():
    return [
        Component(kind="noise", name="deadly", target=f"{__name__}:Deadly", summary="for tests"),
        Component(kind="objective", name="preference", target=f"{__name__}:Preference", summary="for tests"),
    ]
'''
SMOKE = ("--preset", "smoke", "--device", "cpu", "--benchmark", "choice", "--no-cache")
TALKING = ("--base.llm.steps", "12", "--base.instruct.steps", "12", "--pairs.mode", "augmentation")
"""Enough steps for non-empty answers, which become rejected answers."""


def call(verb: str, *argv: str, bases: Path, **more: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT / "core"), str(ROOT / "plugins")])
    environment = {**os.environ, "SPA3D_BASES": str(bases), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **more}
    command = [sys.executable, "-c", "import sys; from spa3d.cli import main; sys.exit(main())", verb, *argv]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def plugin_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    folder = tmp_path_factory.mktemp("talking")
    (folder / "deadly.py").write_text(DEADLY)
    return folder, (*SMOKE, *TALKING, "--plugin", str(folder / "deadly.py"), "--noise", "deadly")


def test_run_killed_while_making_pairs_resumes_to_the_same_pairs(
    plugin_run: tuple[Path, tuple[str, ...]], tmp_path: Path
) -> None:
    folder, flags = plugin_run
    bases, output = folder / "bases", tmp_path / "run"
    argv = (*flags, "--objective", "preference", "--pairs.batch_size", "8", "--output", str(output))
    killed = call("run", *argv, bases=bases, DIES_AT="4")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    [log] = (bases / ".pairs").iterdir()
    begun = log.read_bytes()
    assert begun.count(b"\n") == 16
    assert not (output / "pairs.jsonl").exists()
    log.write_bytes(begun[:-9])  # as if killed in the middle of a line

    ended = call("run", *argv, "--resume", bases=bases)
    assert ended.returncode == 0, ended.stderr
    assert "pairs: 9 of 9" in ended.stderr
    kept = (output / "pairs.jsonl").read_text().splitlines()
    passport = json.loads((output / "passport.json").read_text())
    assert passport["pairs"]["kept"] == len(kept)
    assert passport["pairs"]["requested"] == 24 == len(kept) + sum(passport["pairs"]["dropped"].values())
    rows = [json.loads(row) for row in (output / "metrics.jsonl").read_text().splitlines()]
    assert any("pair_margin" in row for row in rows if row.get("stage") == "post-train")

    alone = tmp_path / "alone.jsonl"
    (bases / ".pairs").rename(bases / "before")
    undisturbed = call("pairs", str(alone), *flags, "--pairs.batch_size", "8", bases=bases)
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert alone.read_bytes() == (output / "pairs.jsonl").read_bytes()
    assert log.read_bytes() == (bases / "before" / log.name).read_bytes()
