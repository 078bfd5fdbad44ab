"""docs/api.md: its table lists the package's public names, and its Python examples run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import spa3d
from spa3d.errors import ConfigError, RegistryError

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
STEPS = {f"{stage}.steps": 1 for stage in ("base.encoder", "base.llm", "base.align", "base.instruct")}
SHORT = {"device": "cpu", **STEPS, "train.steps": 2, "evaluate.limit": 4}


@pytest.fixture(autouse=True)
def _what_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)


def test_page_lists_every_public_name() -> None:
    named = {name for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == set(spa3d.__all__)
    assert all(getattr(spa3d, name) is not None for name in named)


def test_python_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "bases"))
    names: dict[str, Any] = {}
    run, session, question, evaluate, audit, two_models, pairs, compare = BLOCKS
    for block in (
        run.replace('"preset": "smoke",', f'"preset": "smoke", **{SHORT},'),
        session,
        question,
        evaluate,
        audit,
        two_models,
        pairs,
        compare.replace('"preset": "smoke",', f'"preset": "smoke", **{SHORT},'),
    ):
        exec(block, names)
    assert (tmp_path / "runs" / "mine" / "report.html").is_file()
    assert names["result"].scores["choice"]["before"]["chance"] == 0.25
    assert names["answer"].blind_logp < 0
    assert list(names["answers"].scores["choice"]) == ["clean", "blind", "noised"]
    assert list(names["audit"].scores["choice"]) == ["clean", "zeroed"]
    assert names["test"].mcnemar.p <= 1
    assert len(names["pairs"].kept) == len((tmp_path / "pairs.jsonl").read_text(encoding="utf-8").splitlines()) > 0
    comparison = names["comparison"]
    assert [outcome.status for outcome in comparison.outcomes] == ["done"] * 4
    assert {row.label for row in comparison.table.rows} == {"sft", "spa"}
    assert (comparison.folder / "compare.json").is_file()
    assert "choice" in capsys.readouterr().out


def test_errors_equal_those_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.stepz"):
        spa3d.run({"preset": "smoke", "train.stepz": 1}, output=tmp_path / "run")
    with pytest.raises(ConfigError, match="resume: say which run"):
        spa3d.run({"preset": "smoke"}, resume=True)
    with pytest.raises(ConfigError, match=r"--pairs\.mode: say how"):
        spa3d.make_pairs({"preset": "smoke"}, tmp_path / "pairs.jsonl")
    with pytest.raises(ConfigError, match="axis 'objective': there are: objectives"):
        spa3d.compare({"preset": "smoke"}, {"objective": ["sft"]}, output=tmp_path)
    with pytest.raises(ConfigError, match=r"'sft' is one text; give a list"):
        spa3d.compare({"preset": "smoke"}, {"objectives": "sft"}, output=tmp_path)
    with pytest.raises(RegistryError, match=r"papre.*table2"):
        spa3d.compare({"preset": "smoke"}, preset="papre", output=tmp_path)
    assert not list(tmp_path.iterdir())
