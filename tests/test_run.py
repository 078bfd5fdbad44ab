"""Whole runs from the command line, with the `smoke` preset."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

import spa3d
from spa3d.checkpoints.encoder_weights import load_weights
from spa3d.cli import main

ROOT = Path(__file__).parents[1]
SMOKE = ["--preset", "smoke", "--benchmark", "choice,classify", "--device", "cpu"]
LONGER = ["--base.instruct.steps", "12", "--train.steps", "12"]
"""Enough steps to be killed in between."""
DEADLINE = 240


def environment(bases: Path, **more: str) -> dict[str, str]:
    paths = [str(ROOT / "core"), str(ROOT / "plugins")]
    return {
        **os.environ,
        "SPA3D_BASES": str(bases),
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        **more,
    }


def start(arguments: Sequence[str], bases: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "tools" / "run.py"), *arguments]
    return subprocess.Popen(
        command,
        env=environment(bases),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A script in the background ignores Ctrl-C, and child processes inherit this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run(arguments: Sequence[str], bases: Path) -> str:
    process = start(arguments, bases)
    text, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, text
    return text


def call(arguments: Sequence[str], bases: Path) -> tuple[int, str]:
    """Exit code and output of the same command in this process, which has its imports done."""
    text = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(text), redirect_stderr(text):
        patch.setenv("SPA3D_BASES", str(bases))
        code = main(["run", *arguments])
    return code, text.getvalue()


def interrupt_when(process: subprocess.Popen[str], ready: Callable[[], bool], how: signal.Signals) -> int:
    """Send the signal `how` as soon as `ready` is true; return the exit code."""
    end = time.monotonic() + DEADLINE
    while not ready():
        assert process.poll() is None, f"it ended before it could be stopped: {process.communicate()[0]}"
        assert time.monotonic() < end
        time.sleep(0.02)  # a poll with a deadline
    process.send_signal(how)
    process.communicate(timeout=DEADLINE)
    return process.returncode


def steps_of(path: Path, stage: str) -> int:
    """Last step of `stage` in a metrics log; 0 without one."""
    rows = path.read_text().splitlines() if path.exists() else []
    result = [json.loads(row)["step"] for row in rows if f'"{stage}"' in row and row.endswith("}")]
    return max(result, default=0)


def numbers(folder: Path) -> dict[str, Any]:
    """All results that must be equal with and without interruptions."""
    report = json.loads((folder / "report.json").read_text())
    predictions = {path.name: path.read_text() for path in sorted((folder / "predictions").glob("*.jsonl"))}
    return {
        "benchmarks": report["benchmarks"],
        "weights": report["passport"]["weights"],
        "predictions": predictions,
        "metrics": (folder / "metrics.jsonl").read_text(),
    }


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="module")
def complete_run(bases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    run([*SMOKE, *LONGER, "--output", str(folder)], bases)
    return folder


def test_run_writes_all_documented_files(complete_run: Path) -> None:
    inside = {path.name for path in complete_run.iterdir()}
    assert {"config.yaml", "passport.json", "metrics.jsonl", "predictions", "model"} <= inside
    assert {"report.json", "report.md", "report.html"} <= inside
    model = {path.name for path in (complete_run / "model").iterdir()}
    assert {"README.md", "passport.json", "config.json", "model.safetensors", "tokenizer.json"} <= model
    passport = json.loads((complete_run / "model" / "passport.json").read_text())
    assert passport == json.loads((complete_run / "passport.json").read_text())
    assert passport["licenses"]["LLM tiny"] == "trained from nothing by this run"
    report = json.loads((complete_run / "report.json").read_text())
    assert report["schema"] == 1
    assert report["status"] == "complete"
    for block in report["benchmarks"].values():
        for when in ("before", "after"):
            assert {"score", "ci95", "blind", "chance", "majority", "invalid", "n", "kinds"} <= set(block[when])
        assert {"score", "ci95", "blind", "p"} <= set(block["change"])
    assert {"counterfactual", "flip"} <= set(report["benchmarks"]["choice"]["before"])


def test_scores_equal_means_of_the_saved_predictions(complete_run: Path) -> None:
    report = json.loads((complete_run / "report.json").read_text())
    for name, block in report["benchmarks"].items():
        for when in ("before", "after"):
            lines = (complete_run / "predictions" / f"{name}.{when}.jsonl").read_text().splitlines()
            rows = [json.loads(line) for line in lines]
            for view, key in (("clean", "score"), ("blind", "blind")):
                values = [row["value"] for row in rows if row["set"] == "test" and row["view"] == view]
                assert block[when][key] == pytest.approx(sum(values) / len(values), abs=1e-6)


def test_saved_model_loads_and_generates(complete_run: Path) -> None:
    model, processor = spa3d.load(complete_run)
    record = spa3d.create("dataset", "shapes-smoke").records("test")[0]
    inputs = processor("What is this?", record.cloud())
    written = model.generate(**inputs, max_new_tokens=2, do_sample=False)
    assert written.shape[0] == 1


def test_the_same_command_gives_the_same_numbers(complete_run: Path, bases: Path, tmp_path: Path) -> None:
    code, text = call([*SMOKE, *LONGER, "--output", str(tmp_path / "again")], bases)
    assert code == 0, text
    assert numbers(tmp_path / "again") == numbers(complete_run)


def test_saved_configuration_can_be_run_again(complete_run: Path, bases: Path, tmp_path: Path) -> None:
    saved = complete_run / "config.yaml"
    code, text = call(["--config", str(saved), "--output", str(tmp_path / "x"), "--dry-run"], bases)
    assert code == 0
    assert "post-train" in text
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_run_killed_in_post_training_resumes_to_the_same_numbers(
    complete_run: Path, bases: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    arguments = [*SMOKE, *LONGER, "--output", str(folder)]
    code = interrupt_when(
        start(arguments, bases), lambda: steps_of(folder / "metrics.jsonl", "post-train") >= 4, signal.SIGKILL
    )
    assert code == -signal.SIGKILL
    assert not (folder / "report.json").exists()
    code, text = call([*arguments, "--resume"], bases)
    assert code == 0, text
    assert numbers(folder) == numbers(complete_run)


def test_run_killed_in_a_base_stage_resumes_to_the_same_numbers(complete_run: Path, tmp_path: Path) -> None:
    bases, folder = tmp_path / "bases", tmp_path / "killed"
    arguments = [*SMOKE, *LONGER, "--output", str(folder)]

    def is_reached() -> bool:
        return any(steps_of(path, "base.instruct") >= 4 for path in bases.glob("*/metrics.jsonl"))

    interrupt_when(start(arguments, bases), is_reached, signal.SIGKILL)
    code, text = call([*arguments, "--resume"], bases)
    assert code == 0, text
    assert numbers(folder) == numbers(complete_run)


def test_ctrl_c_exits_with_130_and_names_resume(complete_run: Path, bases: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stopped"
    arguments = [*SMOKE, *LONGER, "--output", str(folder)]
    process = start(arguments, bases)
    end = time.monotonic() + DEADLINE
    while steps_of(folder / "metrics.jsonl", "post-train") < 2:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)  # a poll with a deadline
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert "--resume" in text
    assert "Traceback" not in text
    code, text = call([*arguments, "--resume"], bases)
    assert code == 0, text
    assert numbers(folder) == numbers(complete_run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ([], "--resume"),
        (["--train.learning_rate", "0.5"], "train.learning_rate"),
        (["--seed", "9"], "seed"),
    ],
)
def test_used_output_folder_is_rejected_with_the_difference(
    complete_run: Path, bases: Path, change: list[str], message: str
) -> None:
    before = numbers(complete_run)
    code, text = call([*SMOKE, *LONGER, *change, "--output", str(complete_run)], bases)
    assert code == 2
    assert message in text
    assert "Traceback" not in text
    assert numbers(complete_run) == before


def test_output_folder_with_other_files_is_rejected(bases: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    code, text = call([*SMOKE, "--output", str(tmp_path)], bases)
    assert code == 2
    assert "thesis.tex" in text
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_encoder_checkpoint_is_used_in_the_whole_run(bases: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    encoder_state = spa3d.create("encoder", "pointnext-tiny").state_dict()
    state = {f"module.point_encoder.{name}": value for name, value in encoder_state.items()}
    weights, folder = tmp_path / "checkpoint.pt", tmp_path / "run"
    torch.save({"state_dict": state, "args": argparse.Namespace(npoints=128), "best_acc1": 1.0}, weights)
    chosen = [*SMOKE, "--encoder", "pointnext-tiny", "--encoder.checkpoint", str(weights)]
    code, text = call([*chosen, "--output", str(folder)], bases)
    assert code == 0
    assert f"encoder weights: {weights} (ULIP layout, {len(encoder_state)} tensors)" in text
    stages = {json.loads(row)["stage"] for row in (folder / "metrics.jsonl").read_text().splitlines()}
    assert stages == {"base.llm", "base.align", "base.instruct", "post-train"}
    saved = load_file(folder / "model" / "model.safetensors")
    assert all(saved[f"encoder.{name}"].equal(value) for name, value in encoder_state.items())
    weights_entry = json.loads((folder / "passport.json").read_text())["encoder_weights"]
    assert (weights_entry["file"], weights_entry["layout"], len(weights_entry["hash"])) == ("checkpoint.pt", "ULIP", 16)
    code, again = call(["--config", str(folder / "config.yaml"), "--output", str(folder), "--resume"], bases)
    assert code == 0
    assert "base.llm" not in again
    load_weights(spa3d.create("encoder", "pointnext-tiny"), folder)


class Hostile:
    """Pickle that makes a file when it is loaded."""

    def __init__(self, fired: Path) -> None:
        self.fired = fired

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.fired}",)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("hostile", "holds more than tensors: it asks for posix.system, which could run code, so nothing of it was "),
        ("another's", "its weights (ULIP layout) are not those of encoder pointnext (here pointnext-tiny): "),
    ],
)
def test_invalid_encoder_checkpoint_stops_the_run_before_it_starts(
    bases: Path, tmp_path: Path, kind: str, message: str
) -> None:
    weights, fired = tmp_path / "checkpoint.pt", tmp_path / "fired"
    state = {f"module.point_encoder.{n}": v for n, v in spa3d.create("encoder", "pointnext").state_dict().items()}
    torch.save({"state_dict": state, "args": Hostile(fired) if kind == "hostile" else None}, weights)
    code, text = call([*SMOKE, "--encoder.checkpoint", str(weights), "--output", str(tmp_path / "run")], bases)
    assert code == 2
    assert text.startswith(f"error: --encoder.checkpoint {weights}: {message}")
    assert text.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.pt"}


def test_blind_run_reads_no_cloud(bases: Path, tmp_path: Path) -> None:
    folder = tmp_path / "blind"
    assert call([*SMOKE, "--objective", "sft", "--blind", "--output", str(folder)], bases)[0] == 0
    rows = [json.loads(line) for line in (folder / "predictions" / "choice.after.jsonl").read_text().splitlines()]
    assert {row["view"] for row in rows} == {"blind", "text-table"}
    stages = {json.loads(row)["stage"] for row in (folder / "metrics.jsonl").read_text().splitlines()}
    assert stages == {"base.llm", "base.instruct", "post-train"}
    assert yaml.safe_load((folder / "config.yaml").read_text())["blind"] is True


def test_answers_of_a_blind_run_join_the_text_floor(complete_run: Path, bases: Path, tmp_path: Path) -> None:
    blind, folder = tmp_path / "blind", tmp_path / "run"
    assert call([*SMOKE, "--objective", "sft", "--blind", "--train.steps", "1", "--output", str(blind)], bases)[0] == 0
    with_blind = [*SMOKE, *LONGER, "--evaluate.blind_run"]
    code, text = call([*with_blind, str(complete_run), "--output", str(folder)], bases)
    assert code == 2
    assert f"--evaluate.blind_run {complete_run}: the run was trained with clouds; give" in text
    code, text = call([*with_blind, str(blind), "--evaluate.limit", "3", "--output", str(folder)], bases)
    assert code == 2
    assert "its answers to choice are not those to the questions of this run" in text
    assert not folder.exists()
    code, text = call([*with_blind, str(blind), "--output", str(folder)], bases)
    assert code == 0, text
    mine, other = (json.loads((each / "report.json").read_text())["benchmarks"] for each in (folder, complete_run))
    assert mine["choice"]["after"]["score"] == other["choice"]["after"]["score"]
    for name in ("choice", "classify"):
        lines = (folder / "predictions" / f"{name}.after.jsonl").read_text().splitlines()
        rows = [row for row in map(json.loads, lines) if row["set"] == "test"]
        views = {row["view"] for row in rows}
        assert views == {"clean", "blind", "text-table", "trained-blind"}
        means = {view: [row["value"] for row in rows if row["view"] == view] for view in views - {"clean"}}
        best = max(*(sum(values) / len(values) for values in means.values()), mine[name]["after"]["majority"])
        assert mine[name]["after"]["text_floor"]["score"] == pytest.approx(best, abs=1e-6)
