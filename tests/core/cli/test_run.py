from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

import spa3d.pipeline.execute
import spa3d.pipeline.plan
from spa3d.cli import main
from spa3d.cli.run import resume_command
from spa3d.config.overrides import list_flags
from spa3d.config.resolve import resolve
from spa3d.errors import OutputError
from spa3d.pipeline.plan import Plan, PlannedPart, PlannedStage


@pytest.fixture(autouse=True)
def _toys(toy_registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Toys, one process, and nobody's terminal."""
    for name in ("COLUMNS", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def test_resume_command_adds_output_and_resume() -> None:
    assert resume_command(["--seed", "3"], Path("runs/a b")) == "spa3d run --seed 3 --output 'runs/a b' --resume"
    assert resume_command(["--output=x", "--resume"], Path("x")) == "spa3d run --output=x --resume"


class TestRun:
    def fake(self, monkeypatch: pytest.MonkeyPatch, outcome: BaseException | None) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def execute(config: Any, registry: Any, **options: Any) -> Path:
            calls.append({"config": config, **options})
            if outcome is not None:
                raise outcome
            options["output"].mkdir(parents=True)
            report = {"status": "complete", "config": config.model_dump(mode="json"), "passport": {}, "data": {}}
            (options["output"] / "report.json").write_text(json.dumps({**report, "benchmarks": BENCHMARKS}))
            return Path(options["output"])

        monkeypatch.setattr(spa3d.pipeline.execute, "execute", execute)
        return calls

    def test_run_prints_verdict_table_and_paths(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        calls = self.fake(monkeypatch, None)
        assert main(["run", "--output", "out", "--seed", "4"]) == 0
        assert (calls[0]["config"].seed, calls[0]["output"], calls[0]["resume"]) == (4, Path("out"), False)
        printed = capsys.readouterr().out
        assert "hurt" in printed.splitlines()[1]
        row = next(line for line in printed.splitlines() if line.startswith("choice"))
        figures = row.replace("\N{EN DASH}", "-").replace("\N{MINUS SIGN}", "-").split()
        expected = "choice 84.0 43.0 80.0 42.0 -4.0 (-5.0 to -3.0) ±1.4 46.0 2000"
        assert figures == expected.split()
        assert "out/report.html" in printed

    def test_run_interrupt_prints_the_command_that_continues(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.fake(monkeypatch, KeyboardInterrupt())
        assert main(["run", "--seed", "4"]) == 130
        printed = capsys.readouterr().err
        command = shlex.split(printed.partition("to continue: ")[2])
        assert command[:4] == ["spa3d", "run", "--seed", "4"]
        assert command[-1] == "--resume"
        assert command[command.index("--output") + 1].startswith("runs/")

    def test_run_error_is_one_message(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.fake(monkeypatch, OutputError("--output out: not empty"))
        assert main(["run", "--output", "out"]) == 2
        assert capsys.readouterr().err == "error: --output out: not empty\n"

    def test_run_dry_run_prints_configuration_and_plan(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        calls = self.fake(monkeypatch, None)
        made = Plan(
            [PlannedStage("base: llm", "300 steps", True), PlannedStage("post-train", "[red]3 steps", False)],
            [PlannedPart("llm", "small", 725664, ("base: llm",)), PlannedPart("encoder", "plain", 3, ())],
            "encoder weights: [red]w.pt",
        )
        monkeypatch.setattr(spa3d.pipeline.plan, "plan", lambda config, registry: made)
        assert main(["run", "--dry-run", "--noise.level", "0.5"]) == 0
        assert not calls
        assert not Path("runs").exists()
        printed = capsys.readouterr().out
        tables, _, text = printed.partition("Configuration")
        assert yaml.safe_load(text) == resolve({"noise.level": 0.5}).model_dump(mode="json")
        rows = [" ".join(word for word in line.split() if word.isascii()) for line in tables.splitlines()]
        assert "base: llm 300 steps there" in rows
        assert "post-train [red]3 steps to do" in rows
        assert "llm small 725,664 base: llm" in rows
        assert "encoder plain 3 never: frozen" in rows
        assert "encoder weights: [red]w.pt" in rows
        for argv in (["--dry-run", "yaml"], ["--dry-run=yaml"]):
            assert main(["run", *argv, "--noise.level", "0.5"]) == 0
            assert capsys.readouterr().out == text.lstrip()

    def test_run_dry_run_takes_no_other_word(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["run", "--dry-run=json"]) == 2
        assert capsys.readouterr().err == "error: --dry-run=json: --dry-run takes no value but yaml\n"
        assert main(["compare", "--objectives", "fit", "--dry-run", "yaml"]) == 2
        assert "no comparison 'yaml'" in capsys.readouterr().err

    def test_run_links_runs_latest_to_any_output(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        self.fake(monkeypatch, None)
        for folder in (tmp_path / "elsewhere" / "one", Path("runs/two")):
            assert main(["run", "--output", str(folder)]) == 0
            assert Path("runs/latest").resolve() == folder.resolve()
        assert Path("runs/latest").readlink() == Path("two")


FLOOR = {"score": 0.46, "ci95": [0.44, 0.48], "source": "text-table"}
PART = {"ci95": [0.82, 0.86], "blind_ci95": [0.4, 0.46], "text_floor": FLOOR, "chance": 0.25, "n": 2000}
PHASE = {**PART, "majority": 0.31, "invalid": 0.0, "records": 400, "kinds": {}}
BENCHMARKS = {
    "choice": {
        "before": {**PHASE, "score": 0.84, "blind": 0.43},
        "after": {**PHASE, "score": 0.80, "blind": 0.42, "ci95": [0.78, 0.82]},
        "change": {"score": -0.04, "ci95": [-0.05, -0.03], "blind": -0.01, "p": 0.001, "mde": 0.0143, "kinds": {}},
    }
}
"""What a report says about one benchmark that post-training hurt."""


class TestHelp:
    def print_help(self, capsys: pytest.CaptureFixture[str], *argv: str, word: str = "") -> str:
        assert main(["run", *argv, "--help", *filter(None, [word])]) == 0
        return capsys.readouterr().out

    def rows(self, capsys: pytest.CaptureFixture[str], *argv: str, word: str = "") -> dict[str, str]:
        """Flags of the page, and the text beside each."""
        rows: dict[str, str] = {}
        for line in self.print_help(capsys, *argv, word=word).splitlines():
            if line.startswith("--"):
                flag = line.split()[0]
                rows[flag] = line.removeprefix(flag).strip()
            elif line.startswith("  ") and rows:
                rows[flag] += " " + line.strip()
        return rows

    def test_help_shows_only_chosen_components(self, capsys: pytest.CaptureFixture[str]) -> None:
        printed = self.print_help(capsys, "--benchmark", "pick", "--encoder", "plain-wide")
        for flag in (
            "--encoder.width",
            "--noise.level",
            "--benchmark.pick.limit",
            "--objective.beta",
            "--dataset.root",
        ):
            assert flag in printed
        assert "--benchmark.tell.limit" not in printed
        assert "encoder plain, preset plain-wide" in printed

    def test_help_shows_values_of_the_command_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        rows = self.rows(capsys, "--encoder.width", "16", "--train.steps", "77")
        assert "[16]: Channels" in rows["--encoder.width"]
        assert "[77]: Optimizer steps" in rows["--train.steps"]
        assert "preset plain-tiny (stands in for plain)" in self.print_help(capsys)

    def test_help_shows_the_checkpoint_of_the_encoder(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("w.pt").touch()
        rows = self.rows(capsys, "--encoder.checkpoint", "w.pt")
        assert [*rows].index("--encoder.checkpoint") == [*rows].index("--encoder") + 1
        assert "[w.pt]: Published weights" in rows["--encoder.checkpoint"]

    def test_help_all_lists_every_flag(self, capsys: pytest.CaptureFixture[str]) -> None:
        every = {f"--{name.replace('-', '_')}" for name in list_flags()}
        shown = {flag.replace("-", "_").replace("__", "--", 1) for flag in self.rows(capsys, word="all")}
        assert every - shown == set()
        assert "--base.llm.steps" not in self.rows(capsys)
        assert "--base.llm.FIELD" in self.rows(capsys)

    @pytest.mark.parametrize("word", ["", "all"])
    def test_help_fits_80_columns_of_a_pipe_and_the_width_of_a_terminal(
        self, word: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert max(map(len, self.print_help(capsys, word=word).splitlines())) == 80
        monkeypatch.setenv("COLUMNS", "120")
        assert 100 < max(map(len, self.print_help(capsys, word=word).splitlines())) <= 120

    def test_help_is_shown_with_errors(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["run", "-h", "--encoder", "gone", "--dataset", "files"]) == 0
        seen = capsys.readouterr()
        assert "--noise.level" in seen.out
        assert "--dataset.root" in seen.out
        assert "required" in seen.out
        assert "no encoder 'gone'" in seen.err
