"""One process, two processes and accumulation take equal steps; slow, each is a whole run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import spa3d

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def steps(folder: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["stage"] == "post-train" and "loss" in row]


OBJECTIVES = {
    "sft": ["--objective", "sft"],
    "spa": ["--objective", "spa"],
    "spa-anchored": ["--objective", "spa-anchored"],
    "dpo": ["--objective", "dpo"],
    "dpo, adapters": ["--objective", "dpo", "--train.lora.rank", "4", "--train.learning_rate", "1e-2"],
}


def write_pairs(path: Path) -> None:
    """A pair about each record of the smoke world, with answers of many lengths."""
    records = spa3d.create("dataset", "shapes-smoke").records("train")
    answers = ("a red cube", "no", "a small green torus that lies on its side")
    rows = [
        {"record": one.id, "question": "What is it?", "chosen": answers[i % 3], "rejected": answers[(i + 1) % 3]}
        for i, one in enumerate(records)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def environment_of(bases: Path) -> dict[str, str]:
    return {
        **os.environ,
        "SPA3D_BASES": str(bases),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "core"), str(ROOT / "plugins")]),
    }


def torchrun_of(processes: int) -> list[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    count = ["--nproc_per_node", str(processes), "--master_port", port]
    return [sys.executable, "-m", "torch.distributed.run", *count]


def test_one_process_and_two_pretrain_an_encoder_with_batch_normalization_alike(tmp_path: Path) -> None:
    script = [str(ROOT / "tools" / "run.py"), "--preset", "smoke", "--objective", "sft", "--train.steps", "1"]
    script += ["--benchmark", "choice", "--device", "cpu"]
    hashes = []
    for way, command in (("one", [sys.executable]), ("two", torchrun_of(2))):
        environment = environment_of(tmp_path / way)
        whole = [*command, *script, "--output", str(tmp_path / f"run-{way}")]
        done = subprocess.run(whole, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        finished = next((tmp_path / way).glob("*/model/done.json"))
        hashes.append(json.loads(finished.read_text())["hashes"]["encoder"])
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_one_process_two_processes_and_accumulation_give_equal_steps(tmp_path: Path, name: str) -> None:
    environment = environment_of(tmp_path / "bases")
    script = [str(ROOT / "tools" / "run.py"), "--preset", "smoke", "--benchmark", "choice", "--device", "cpu"]
    script += OBJECTIVES[name]
    if "dpo" in OBJECTIVES[name]:
        write_pairs(tmp_path / "pairs.jsonl")
        script += ["--pairs.path", str(tmp_path / "pairs.jsonl")]
    torchrun = torchrun_of(2)
    ways = {
        "one": [sys.executable, *script],
        "accumulated": [sys.executable, *script, "--train.accumulation", "4"],
        "two": [*torchrun, *script],
    }
    result, bases = {}, set[str]()
    for way, command in ways.items():  # "one" builds the base that the others share
        output = tmp_path / way
        done = subprocess.run(
            [*command, "--output", str(output)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        result[way] = steps(output)
        bases.add(json.loads((output / "passport.json").read_text())["base"])
    # If sources change during the test, a run builds another base. DPO's first loss is ln 2 with any base, so only the
    # gradients would differ, without a visible reason.
    assert len(bases) == 1, "the ways did not start from one base"
    for way in ("accumulated", "two"):
        for single, other in zip(result["one"], result[way], strict=True):
            assert single["loss"] == pytest.approx(other["loss"], rel=1e-5)
            assert single["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4)
            logged = {key: value for key, value in single.items() if key.startswith("logp_") or key.endswith("margin")}
            assert logged
            assert logged == pytest.approx({key: other[key] for key in logged}, abs=1e-4)
            assert single.get("terms", {}) == pytest.approx(other.get("terms", {}), rel=1e-4, abs=1e-6)


def test_two_processes_share_the_questions_of_an_evaluation(tmp_path: Path) -> None:
    script = [str(ROOT / "tools" / "run.py"), "--preset", "smoke", "--objective", "sft", "--train.steps", "1"]
    script += ["--benchmark", "choice", "--device", "cpu", "--output", str(tmp_path / "run")]
    subprocess.run([sys.executable, *script], env=environment_of(tmp_path / "bases"), check=True, capture_output=True)
    verb = ["-m", "spa3d", "evaluate", str(tmp_path / "run"), "--benchmark", "choice,classify", "--device", "cpu"]
    report = {}
    for way, command in (("one", [sys.executable]), ("two", torchrun_of(2))):
        environment = environment_of(tmp_path / way)
        whole = [*command, *verb, "--output", str(tmp_path / way / "out")]
        done = subprocess.run(whole, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        report[way] = json.loads((tmp_path / way / "out" / "report.json").read_text())["benchmarks"]
    assert report["one"] == report["two"]
    logs = [[*(tmp_path / way / ".answers").glob("*/*.jsonl")] for way in ("one", "two")]
    assert [len(files) for files in logs] == [1, 2]
    counts = [len(file.read_text().splitlines()) for file in logs[1]]
    assert min(counts) > 0.4 * sum(counts)
    again = [*torchrun_of(2), *verb, "--output", str(tmp_path / "again")]
    done = subprocess.run(again, env=environment_of(tmp_path / "one"), capture_output=True, text=True, check=False)
    assert "(0 new answers)" in done.stdout, done.stderr
