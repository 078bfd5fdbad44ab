"""Whole small runs that diverge, are measured again, or meet an exit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from spa3d.config.resolve import resolve
from spa3d.errors import DivergenceError, PluginError
from spa3d.inference.views import NoisedView
from spa3d.pipeline.execute import execute
from spa3d.registry.registry import load_registry
from spa3d.runtime.progress import SilentReporter
from spa3d_plugins.noise.mask import Mask

SMALL: Mapping[str, Any] = {
    "preset": "smoke",
    "device": "cpu",
    "benchmark": "choice",
    **{f"base.{stage}.steps": 1 for stage in ("encoder", "llm", "align", "instruct")},
    "train": {"steps": 3, "log_every": 1, "probe_every": 2, "probe_size": 4},
    "evaluate": {"limit": 8, "bootstrap": 100},
}


def run(output: Path, *settings: Mapping[str, Any], resume: bool = False) -> Any:
    execute(resolve(SMALL, *settings), load_registry(), output=output, resume=resume, reporter=SilentReporter())
    return json.loads((output / "report.json").read_text())


def test_diverged_run_reports_what_was_measured_before(tmp_path: Path) -> None:
    spoiled = {"objective": "sft", "train.learning_rate": 100.0}
    for resume in (False, True):
        with pytest.raises(DivergenceError, match=r"^post-train diverged: at step \d .*The report is .*report.html$"):
            run(tmp_path / "run", spoiled, resume=resume)
        report = json.loads((tmp_path / "run" / "report.json").read_text())
        assert report["status"] == "diverged"
        assert report["reason"].startswith("post-train diverged")
        assert report["benchmarks"]["choice"]["before"]["n"] == 8
        assert "after" not in report["benchmarks"]["choice"]
        first = (tmp_path / "run" / "report.md").read_text().partition("\n")[0]
        assert first.startswith("**This run diverged: post-train diverged")
    assert not (tmp_path / "run" / "model").exists()


def test_diverged_base_reports_its_stage(tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match=r"^base.llm diverged: "):
        run(tmp_path / "run", {"base.llm.learning_rate": 100, "base.llm.steps": 8, "base.llm.warmup": 0.0})
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (report["status"], report["benchmarks"], report["not_asked"]) == ("diverged", {}, ["choice"])
    assert "base.llm diverged" in (tmp_path / "run" / "report.html").read_text()


def test_resumed_run_measures_the_saved_model_and_names_lost_metrics(tmp_path: Path) -> None:
    folder, adapted = tmp_path / "run", {"train.lora": {"rank": 2}}
    whole = run(folder, adapted)
    answers = {path.name: path.read_bytes() for path in (folder / "predictions").iterdir()}
    (folder / "predictions" / "choice.after.jsonl").write_text("")
    (folder / "metrics.jsonl").unlink()
    again = run(folder, adapted, resume=True)
    assert {path.name: path.read_bytes() for path in (folder / "predictions").iterdir()} == answers
    assert again["benchmarks"] == whole["benchmarks"]
    assert (whole["notes"], whole["status"]) == ([], "complete")
    assert again["notes"][0].startswith("metrics.jsonl lacks the rows of 4 steps of post-training")
    for name in ("report.md", "report.html"):
        assert "lacks the rows of 4 steps" in (folder / name).read_text()


def test_noise_that_exits_ends_the_run_with_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: Any) -> Any:
        raise SystemExit(0)

    encode = NoisedView.tokens

    def tokens(view: NoisedView, batch: Any) -> Any:  # the trial before the work is passed
        monkeypatch.setattr(Mask, "apply", leave)
        return encode(view, batch)

    monkeypatch.setattr(NoisedView, "tokens", tokens)
    with pytest.raises(PluginError, match=r"test_execute.py, line \d+, in leave: .*\(SystemExit: 0\)"):
        run(tmp_path / "run")
    assert not (tmp_path / "run" / "report.json").exists()
