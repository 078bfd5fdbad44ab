from __future__ import annotations

import subprocess
import sys

import pytest

from spa3d import __version__, cli
from spa3d.cli import main
from spa3d.errors import ConfigError, DivergenceError


def answer(outcome: Exception | KeyboardInterrupt | int) -> object:
    def verb(argv: object) -> int:
        """A verb."""
        if isinstance(outcome, int):
            return outcome
        raise outcome

    return lambda name: verb


def test_main_without_a_verb_lists_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "run" in printed
    assert "List components and presets" in printed
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(("argv", "code"), [([], 0), (["--help"], 0), (["--version"], 0), (["rnu"], 2)])
def test_main_lists_verbs_without_heavy_modules(argv: list[str], code: int) -> None:
    heavy = ("torch", "transformers", "numpy", "pydantic", "yaml", "spa3d.config")
    program = f"import sys; from spa3d.cli import main; code = main({argv}); "
    program += f"print(*({set(heavy)} & sys.modules.keys()), file=sys.stderr); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr.splitlines()[-1] == ""
    assert "output" not in done.stdout + done.stderr
    for verb in ("compare", "list", "pairs", "preview", "run"):
        assert f"\n{verb} " in done.stdout or argv == ["--version"] or f" {verb}" in done.stderr


def test_main_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["run", "--version"]) == 0
    assert capsys.readouterr().out == f"spa3d {__version__}\n" * 2


@pytest.mark.parametrize("name", ["lst", "parser", "no.such", ""])
def test_main_unknown_verb(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name]) == 2
    assert f"no verb {name!r}" in capsys.readouterr().err


def test_main_input_error_is_one_message_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_verb", answer(ConfigError(["--a [red]: bad", "--b: worse"])))
    assert main(["run"]) == 2
    seen = capsys.readouterr()
    assert seen.err == "error: --a [red]: bad\nerror: --b: worse\n"
    assert seen.out == ""
    with pytest.raises(ConfigError):
        main(["run", "--debug"])


def test_main_divergence_is_one_message_and_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_verb", answer(DivergenceError("post-train diverged")))
    assert main(["run"]) == 1
    assert capsys.readouterr().err == "error: post-train diverged\n"


def test_main_interrupt_is_code_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "_verb", answer(KeyboardInterrupt()))
    assert main(["run"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_main_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_verb", answer(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main(["run"])


def test_main_returns_the_code_of_the_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_verb", answer(1))
    assert main(["list"]) == 1
