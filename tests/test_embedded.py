"""Scores of the embedded preset; takes minutes, so only `make test-slow` runs it.

The base is that of `make run`, so that it is built only once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def run(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "tools/run.py", "--device", "cpu", "--output", str(folder), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def harmless_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("harmless") / "run")


def test_base_scores_are_between_chance_and_ceiling(harmless_run: dict[str, Any]) -> None:
    choice = harmless_run["benchmarks"]["choice"]["before"]
    assert 0.75 <= choice["score"] <= 0.92
    assert choice["blind"] <= 0.50
    assert choice["text_floor"]["score"] >= choice["chance"] + 0.05, "text alone must beat chance clearly"
    assert choice["score"] - choice["blind"] >= 0.25
    assert choice["counterfactual"]["score"] < choice["score"], "broken priors must cost something"
    assert choice["flip"]["blind"] == 0
    assert harmless_run["benchmarks"]["caption"]["before"]["score"] >= 0.60


def test_spa_at_the_default_learning_rate_changes_little(harmless_run: dict[str, Any]) -> None:
    assert harmless_run["training"]["warnings"] == []
    assert abs(harmless_run["benchmarks"]["choice"]["change"]["score"]) <= 0.02


def test_spa_at_ten_times_the_rate_warns_while_its_margin_grows(tmp_path: Path) -> None:
    report = run(tmp_path / "run", "--train.learning_rate", "1e-4", "--noise.level", "0.5", "--benchmark", "choice")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    probes = [row for row in rows if row.get("probe")]
    assert probes[-1]["margin"] > probes[0]["margin"] + 1
    assert len(report["training"]["warnings"]) == 1
    assert report["benchmarks"]["choice"]["change"]["ci95"][1] < 0
    first = (tmp_path / "run" / "report.md").read_text().splitlines()[0]
    assert "hurt" in first
