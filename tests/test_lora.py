"""Whole runs with adapters: resumed to the same weights, loaded with and without peft."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from spa3d.cli import main

ROOT = Path(__file__).parents[1]
LORA = ["--preset", "smoke", "--benchmark", "choice", "--device", "cpu", "--objective", "sft", "--train.steps", "10"]
LORA += ["--train.lora.rank", "4", "--train.lora.dropout", "0.1", "--train.learning_rate", "0.01"]
DEADLINE = 240
WITHOUT_PEFT = "import sys; sys.modules['peft'] = None; "


def start(code: Sequence[str], bases: Path) -> subprocess.Popen[str]:
    paths = [str(ROOT / "core"), str(ROOT / "plugins")]
    environment = {
        **os.environ,
        "SPA3D_BASES": str(bases),
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, *code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    text, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, text
    return text


def run(folder: Path, bases: Path, *more: str) -> subprocess.Popen[str]:
    return start([str(ROOT / "tools" / "run.py"), *LORA, "--output", str(folder), *more], bases)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="module")
def complete_run(bases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPA3D_BASES", str(bases))
        assert main(["run", *LORA, "--output", str(folder)]) == 0
    return folder


def base_of(folder: Path, bases: Path) -> Path:
    return bases / json.loads((folder / "passport.json").read_text())["base"] / "model"


def test_lora_changes_low_rank_llm_weights_and_projector_only(complete_run: Path, bases: Path) -> None:
    before = load_file(base_of(complete_run, bases) / "model.safetensors")
    after = load_file(complete_run / "model" / "model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    layers = {
        name for name in before if name.startswith("language_model.model.layers.") and name.endswith("proj.weight")
    }
    assert changed == layers | {name for name in before if name.startswith("projector.")}
    for name in layers:
        assert int(torch.linalg.matrix_rank((after[name] - before[name]).double(), rtol=1e-4)) <= 4


@pytest.mark.slow
def test_killed_and_resumed_run_gives_the_same_weights(complete_run: Path, bases: Path, tmp_path: Path) -> None:
    folder, end = tmp_path / "killed", time.monotonic() + DEADLINE
    process = run(folder, bases)
    while not list(folder.glob("checkpoints/checkpoint-4/trainer_state.json")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)  # a poll with a deadline
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=DEADLINE)
    assert not (folder / "model").exists()
    kept = folder / "checkpoints" / "checkpoint-4" / "model.safetensors"
    assert kept.stat().st_size < (base_of(complete_run, bases) / "model.safetensors").stat().st_size / 4
    finish(run(folder, bases, "--resume"))
    for path in ("model/model.safetensors", "adapter/adapter_model.safetensors"):
        mine, theirs = load_file(folder / path), load_file(complete_run / path)
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    for path in ("metrics.jsonl", "predictions/choice.after.jsonl"):
        assert (folder / path).read_text() == (complete_run / path).read_text()


CHECK = """
import torch
inputs = processor("What is this?", spa3d.create("dataset", "shapes-smoke").records("test")[0].cloud())
with torch.no_grad():
    expected, result = spa3d.load(RUN)[0](**inputs).logits, model.eval()(**inputs).logits
    with model.disable_adapter():
        before = model(**inputs).logits
torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)
assert not torch.allclose(before, expected, atol=1e-3)
"""


def test_example_in_the_docs_loads_the_adapter_onto_the_base(complete_run: Path, bases: Path) -> None:
    example = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "adapters.md").read_text(), re.M | re.S)
    assert len(example) == 1
    code = example[0]
    key = json.loads((complete_run / "passport.json").read_text())["base"]
    for written, here in (("runs/.bases/KEY", bases / key), ("runs/adapted/adapter", complete_run / "adapter")):
        assert written in code
        code = code.replace(written, str(here))
    finish(start(["-c", code + CHECK.replace("RUN", repr(str(complete_run)))], bases))


@pytest.mark.slow
def test_without_peft_models_load_and_lora_rank_is_rejected_early(
    complete_run: Path, bases: Path, tmp_path: Path
) -> None:
    arguments = ["run", *LORA, "--output", str(tmp_path / "run")]
    code = f"""
import spa3d
from spa3d.cli import main
print(type(spa3d.load({str(complete_run)!r})[0]).__name__, flush=True)
sys.exit(main({arguments!r}))
"""
    process = start(["-c", WITHOUT_PEFT + code], bases)
    text, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2
    loaded, error = text.splitlines(keepends=True)[-2:]
    assert loaded == "Spa3dModel\n"
    assert error == (
        'error: --train.lora.rank 4: adapters need peft, which is not installed; pip install "spa3d[lora]"\n'
    )
    assert not (tmp_path / "run").exists()


def test_report_and_passport_name_the_adapters(complete_run: Path) -> None:
    assert "the LLM through adapters of rank 4 (alpha 16, dropout 0.1)" in (complete_run / "report.md").read_text()
    assert "peft" in json.loads((complete_run / "passport.json").read_text())["versions"]
