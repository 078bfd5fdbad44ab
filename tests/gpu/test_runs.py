"""Whole runs on a GPU: killed and resumed, and on two GPUs where there are two."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
STEPS = 8
SMOKE = ["--preset", "smoke", "--benchmark", "choice", "--objective", "spa", "--train.steps", str(STEPS)]
SMOKE += ["--train.save_every", "2"]
DEADLINE = 120

pytestmark = pytest.mark.gpu


def command(device: torch.device, folder: Path, *more: str) -> list[str]:
    return [str(ROOT / "tools" / "run.py"), *SMOKE, "--device", device.type, "--output", str(folder), *more]


def start(arguments: list[str], bases: Path) -> subprocess.Popen[str]:
    paths = [str(ROOT / "core"), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "SPA3D_BASES": str(bases),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OMP_NUM_THREADS": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
    return subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> None:
    text, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, text


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def difference(one: Path, other: Path) -> float:
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    return max(float((mine[name].float() - theirs[name].float()).abs().max()) for name in mine)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="module")
def complete_run(bases: Path, accelerator: torch.device, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    finish(start(command(accelerator, folder), bases))
    return folder


def test_a_killed_run_is_resumed_to_the_same_weights(
    complete_run: Path, bases: Path, accelerator: torch.device, tmp_path: Path
) -> None:
    again = start(command(accelerator, tmp_path / "again"), bases)
    folder, end = tmp_path / "killed", time.monotonic() + DEADLINE
    process = start(command(accelerator, folder), bases)
    while not list(folder.glob("checkpoints/checkpoint-4/trainer_state.json")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)  # a poll with a deadline
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=DEADLINE)
    assert not (folder / "model").exists()
    finish(again)
    finish(start(command(accelerator, folder, "--resume"), bases))
    # Some of a GPU's sums have no fixed order: what two equal runs differ by is no error of resuming.
    assert difference(complete_run, folder) <= 4 * difference(complete_run, tmp_path / "again")


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_processes_take_the_steps_of_one(
    complete_run: Path, bases: Path, accelerator: torch.device, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", port]
    finish(start([*torchrun, *command(accelerator, tmp_path / "two")], bases))
    for mine, other in zip(losses(complete_run), losses(tmp_path / "two"), strict=True):
        assert mine == pytest.approx(other, rel=2e-2)  # bfloat16, in batches of another shape


def losses(folder: Path) -> list[float]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row["loss"] for row in rows if row["stage"] == "post-train" and "loss" in row]
