"""What a run finds wrong with its data before it does any work; whole runs are in tests/test_run.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from spa3d.cli.parser import parse
from spa3d.contracts.benchmark import Question
from spa3d.errors import DataError
from spa3d.progress import Silent
from spa3d.run import execute
from spa3d_plugins.benchmarks.classify import Classify


@pytest.fixture(autouse=True)
def _what_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "bases"))


def refusal(folder: Path, *argv: str) -> str:
    """What a run says that cannot begin; it leaves nothing behind."""
    asked = parse(["--preset", "smoke", "--device", "cpu", *argv])
    with pytest.raises(DataError) as caught:
        execute(asked.config, asked.registry, output=folder / "run", resume=False, reporter=Silent())
    assert list(folder.iterdir()) == []
    return str(caught.value)


def test_a_split_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    assert refusal(tmp_path, "--evaluate.split", "tset") == (
        "dataset shapes has no record to report on (--evaluate.split) in split 'tset'; "
        "there are: train (64), val (16), test (24), counterfactual (16)"
    )


def test_data_that_no_benchmark_can_ask_about_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> tuple[Question, ...]:
        return ()

    monkeypatch.setattr(Classify, "questions", nothing)
    said = refusal(tmp_path, "--benchmark", "classify")
    assert said == "--benchmark classify: dataset shapes gives none of them a question"
