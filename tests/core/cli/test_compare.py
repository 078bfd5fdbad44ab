"""``spa3d compare`` from the command line: errors, lists, and continuation after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import spa3d.comparison.execute
from spa3d.cli import main

ROOT = Path(__file__).parents[3]
SMOKE = ("--preset", "smoke", "--device", "cpu", "--benchmark", "choice", "--evaluate.limit", "8")
BROKEN = """
from spa3d import Component, Objective, hookimpl
from spa3d.contracts.objective import Need, Term


class Broken(Objective):
    needs = (Need(),)

    tried = False

    def terms(self, scores):
        if self.tried:  # the trial before the work passes
            raise ArithmeticError("no loss today [bold]")
        self.tried = True
        return [Term("nll", -scores["chosen", "clean"].logp, "sequence")]


@hookimpl
def spa3d_components():
    return [Component(kind="objective", name="broken", target=f"{__name__}:Broken", summary="fails")]
"""
DRIVER = """
import os, signal, sys
from spa3d.cli import main
from spa3d.artifacts.metrics_log import MetricsLog

left, write = int(os.environ.get("DIES_AT", "0")), MetricsLog.write

def counted(self, **row):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, **row)

MetricsLog.write = counted
sys.exit(main(["compare", *sys.argv[1:]]))
"""


@pytest.fixture(autouse=True)
def _what_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "bases"))
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.chdir(tmp_path)


def dry_run(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["compare", *argv, "--dry-run", *SMOKE]) == 0
    return capsys.readouterr().out


def test_compare_dry_run_lists_cells_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = dry_run(capsys, "--objectives", "sft,spa", "--levels", "0.1,0.5", "--seeds", "3,4", "--budget", "compute")
    rows = [line.split("  ") for line in listed.partition("\n\n")[0].splitlines()]
    cells = [[word.strip() for word in row if word.strip()] for row in rows[1:]]
    assert [(cell[1], cell[2], cell[3], cell[4]) for cell in cells[:4]] == [
        ("sft", "(is SFT)", "3", "3"),
        ("spa, level 0.1", "sft, 6 steps", "3", "3"),
        ("spa, level 0.5", "sft, 6 steps", "3", "3"),
        ("sft, 6 steps", "(is SFT)", "3", "6"),
    ]
    assert len(cells) == 8
    assert list(tmp_path.iterdir()) == []


def test_compare_dry_run_says_what_an_effect_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    printed = dry_run(capsys, "--objectives", "sft,spa", "--seeds", "0,1", "--effect", "2").partition("\n\n")[2]
    head, first, *_ = printed.splitlines()
    assert head.split("  ")[0] == "set"
    assert [word.strip() for word in head.split("  ") if word][-2:] == ["needs, 2 seeds", "or seeds"]
    # Eight questions on as many groups: 2.8016 * sqrt(0.25 / 8) = 49.5 points; 0.25 * (2.8016 / 0.02)^2 = 4,906.
    assert first.split()[:4] == ["choice", "8", "8", "±49.5"]
    assert first.endswith("none is enough")
    assert "4,906" in first
    assert "No pilot: the worst case is assumed." in printed


@pytest.mark.parametrize(("preset", "cells"), [("table2", 13), ("figure3", 20), ("table-a1", 17)])
def test_compare_plans_the_grids_of_the_paper(preset: str, cells: int, capsys: pytest.CaptureFixture[str]) -> None:
    lines = dry_run(capsys, preset, "--seeds", "0").splitlines()
    assert sum(line[:1].isdigit() for line in lines) == cells  # a long row may take two lines


def test_compare_table_4_has_controls_of_equal_compute(capsys: pytest.CaptureFixture[str]) -> None:
    listed = dry_run(capsys, "table4", "--seeds", "0")
    for row in (
        "sft, fresh questions",
        "spa-anchored",
        "dpo (DA, truth)",
        "dpo (DA, own answer)",
        "simpo (TC)",
        "twin-contrast",
        "twin-nll",
    ):
        assert row in listed
    assert listed.count("(is SFT)") >= 3


def test_compare_help_names_comparisons_and_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--help"]) == 0
    shown = capsys.readouterr().out
    for word in ("table2", "table4", "figure3", "--objectives", "--pair-modes", "--budget", "--cell", "--seeds"):
        assert word in shown


def test_compare_registry_file_adds_comparisons(capsys: pytest.CaptureFixture[str]) -> None:
    presets = "{objective: {spa-soft: {component: spa, config: {coefficient: 0.01}}}, "
    presets += "compare: {soft: {summary: Softly, rows: [{settings: {objective: spa-soft}}], seeds: [0]}}}"
    Path("extra.yaml").write_text(f"version: 1\npresets: {presets}\n")
    assert "spa-soft" in dry_run(capsys, "soft", "--registry", "extra.yaml")
    assert main(["compare", "--help", "--registry", "extra.yaml"]) == 0
    assert "Softly" in capsys.readouterr().out
    assert main(["compare", "soft", "--registry", "gone.yaml", "--dry-run"]) == 2
    assert capsys.readouterr().err.startswith("error: --registry gone.yaml: no such file")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tabel2", "no comparison 'tabel2'; did you mean 'table2'"),
        ("table2 table4", "'table4' is not expected here"),
        ("--objectives sft,spo", "--objective spo: no objective 'spo'; did you mean"),
        ("--objectives sft,,spa", "--objectives sft,,spa: expected different values, separated by commas"),
        ("--objectives sft,sft", "--objectives sft,sft: expected different values"),
        ("--objectives spa --levels 0.5,1.5", "--noise.level 1.5: '1.5' is not allowed"),
        ("--objectives spa --seeds 0,x", "--seeds 0,x: expected different whole numbers"),
        ("--objectives spa --seeds 1,01", "--seeds 1,01: expected different whole numbers"),
        ("--objectives spa --budget time", "--budget time: possible: steps, samples, compute"),
        ("--objectives spa --effect 2", "--effect: no effect without --dry-run"),
        ("--objectives spa --dry-run --effect 0", "--effect 0: expected points above 0 and up to 100"),
        ("--objectives spa --dry-run --pilot gone", "--pilot gone: no such folder"),
        ("--objectives spa --dry-run --pilot .", "--pilot .: has neither a compare.json nor a report.json"),
        ("--objectives spa --cell 3/2", "--cell 3/2: expected i/n"),
        ("--objectives spa --seed 3", "--seed: a comparison takes several; give --seeds"),
        ("--objectives spa --resume", "--resume: a comparison always continues"),
        ("--objectives sft,spa --objective spa", "--objective: the comparison sets it row by row; give --objectives"),
        ("--objectives sft,dpo", "dpo: --objective dpo: it needs rejected answers"),
        ("--objectives sft,dpo --pairs.path none.jsonl", "dpo: none.jsonl: cannot be read: no such file"),
        ("--objectives sft,spa --train.stepz 3", "no field 'stepz'; did you mean 'steps'"),
    ],
)
def test_compare_reports_errors_of_all_cells_before_running(
    words: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *words.split(), *SMOKE]) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert message.count(expected) == 1
    assert not (tmp_path / "runs").exists()


def test_compare_refuses_torchrun(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["compare", "--objectives", "sft,spa", *SMOKE]) == 2
    error = capsys.readouterr().err
    assert "start it without torchrun; to share the cells among processes, give each --cell i/n" in error


def test_compare_ctrl_c_prints_the_command_that_continues(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(spa3d.comparison.execute, "execute", interrupt)
    assert main(["compare", "--objectives", "sft,spa", "--seeds", "0", *SMOKE]) == 130
    assert "to continue: spa3d compare --objectives sft,spa --seeds 0 --preset smoke" in capsys.readouterr().err


def test_compare_reports_a_cell_that_fails_beside_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    argv = ["compare", "--objectives", "broken,sft", "--plugin", "broken.py", "--seeds", "0", *SMOKE]
    assert main([*argv, "--output", "out"]) == 1
    shown = capsys.readouterr()
    assert "broken, seed 0 failed: ArithmeticError: no loss today [bold]" in shown.out
    assert "[2/2] sft, seed 0: done" in shown.err
    table = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert table["counts"] == {"done": 1, "failed": 1, "to do": 0}
    assert "Traceback" in (tmp_path / "out" / "cells" / "broken-s0" / "error.txt").read_text()


def compare(bases: Path, output: Path, **more: str) -> int:
    """Two objectives, one seed, in a process that DIES_AT ends at that line of a metrics log."""
    paths = os.pathsep.join([str(ROOT / "core"), str(ROOT / "plugins")])
    environment = {**os.environ, "SPA3D_BASES": str(bases), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **more}
    argv = ["--objectives", "sft,spa", "--seeds", "0", "--budget", "compute", *SMOKE, "--output", str(output)]
    return subprocess.run([sys.executable, "-c", DRIVER, *argv], env=environment, timeout=400, check=False).returncode


def numbers(output: Path) -> Any:
    """What the table says, but for what clocks and folders decide."""
    table = json.loads((output / "compare.json").read_text())
    table.pop("command")
    for row in table["rows"]:
        row["training"] = {name: value for name, value in row["training"].items() if name != "seconds"}
    return table


@pytest.mark.slow
def test_compare_killed_and_resumed_gives_the_same_table(tmp_path: Path) -> None:
    assert compare(tmp_path / "undisturbed-bases", tmp_path / "undisturbed") == 0
    bases, output = tmp_path / "killed-bases", tmp_path / "killed"
    moments = []
    for line in ("5", "16", "6"):  # in a stage of the base; in the first cell; in another one
        assert compare(bases, output, DIES_AT=line) == -signal.SIGKILL
        moments.append(sorted(path.parent.name for path in output.glob("cells/*/report.json")))
    assert moments[0] == []
    assert compare(bases, output) == 0
    assert numbers(output) == numbers(tmp_path / "undisturbed")
