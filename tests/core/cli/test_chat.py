"""``spa3d chat`` with its questions in a pipe."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import spa3d
from spa3d.cli import main
from spa3d.inference.generation import Decoding
from spa3d.rendering.numbers import format_signed

SHORT = ["--device", "cpu", "--max-tokens", "5"]


@pytest.fixture
def converse(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model_folder: Path):
    def run(text: str, *argv: object) -> list[str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8"))
        assert main(["chat", str(model_folder), *map(str, argv), *SHORT]) == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_chat_answers_shows_clouds_and_ends(converse, model_folder: Path, cloud_files: Path) -> None:
    session = spa3d.session(model_folder, device="cpu")
    five = Decoding(max_tokens=5)
    first = session.chat(cloud_files / "0.npy")
    expected = [first.ask(question, decoding=five).text for question in ("What is this?", "Which color?")]
    other = session.ask(cloud_files / "3.npy", "What is this?", blind=True, decoding=five)
    assert other.blind is not None
    with_cloud, without = (format_signed(value, 2) for value in (other.logp, other.blind.logp))
    cut = "  cut after 5 tokens; --max-tokens N allows more"
    lines = converse(
        f"What is this?\nWhich color?\n\n/cloud {cloud_files / '3.npy'}\n/blind\nWhat is this?\n/quit\nno more\n",
        cloud_files / "0.npy",
    )
    assert lines == [
        f"  {cloud_files / '0.npy'}: 150 points with color",
        *("> What is this?", expected[0], cut),
        *("> Which color?", expected[1], cut),
        "> ",
        *(f"> /cloud {cloud_files / '3.npy'}", f"  {cloud_files / '3.npy'}: 150 points without color"),
        *("> /blind", "  answers without the cloud are shown"),
        *("> What is this?", other.text, cut),
        f"  without the cloud: {other.blind.text}",
        f"  log p of the answer above: {with_cloud} nats with the cloud, {without} without (5 tokens)",
        "> /quit",
    ]


def test_chat_goes_on_after_a_mistake(converse, tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((50, 6), np.float32))
    text = (
        f"/cloud no.npy\n/cloud {tmp_path / 'flat.npy'}\n/clod x\n/cloud\n/new now\n<point_patch>\n/new\n/help\nWhat?"
    )
    lines = converse(text, "--blind")
    assert lines[0] == "  no cloud is shown; /cloud FILE shows one, /help lists the commands"
    errors = [line for line in lines if line.startswith("error: ")]
    assert errors[0] == "error: no.npy: cannot be read: no such file."
    assert errors[1].startswith(f"error: {tmp_path / 'flat.npy'}: the 50 points of the cloud all lie in one place")
    assert errors[2].startswith("error: no command '/clod'; did you mean '/cloud'? possible: /cloud, /new, /blind")
    assert errors[3:5] == ["error: /cloud needs a file: /cloud FILE", "error: /new stands alone on its line"]
    assert "a mark of the model's own" in errors[5]
    assert len(errors) == 6
    assert lines[-1] == "  no cloud is shown, so there is nothing to compare"


def test_chat_names_the_way_out_of_a_long_conversation(converse, cloud_files: Path) -> None:
    lines = converse("What is this?\n" + "color " * 100 + "\n", cloud_files / "0.npy")
    assert lines[-1].startswith("error: a question of ")
    assert lines[-1].endswith("shorten it; /new begins a new conversation")


def test_chat_refuses_before_anything_is_loaded(
    model_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("spa3d.inference.session.load", None)
    refused = {
        ("chat",): "spa3d chat: name a model",
        ("chat", str(tmp_path)): f"{tmp_path}: no 3D LLM there (neither {tmp_path / 'model' / 'config.json'}",
        ("chat", "nowhere"): "nowhere: no 3D LLM there (no such folder)",
        ("chat", str(model_folder), "no.npy"): "no.npy: cannot be read: no such file.",
        ("chat", str(model_folder), "a.npy", "b.npy"): "'b.npy' is not expected here; one model and one cloud",
        ("chat", str(model_folder), "--tempature", "1"): "no flag '--tempature'; did you mean '--temperature'?",
        ("chat", str(model_folder), "--temperature", "hot"): "--temperature hot: expected a number from 0 to 100",
        ("chat", str(model_folder), "--max-tokens", "1.5"): "--max-tokens 1.5: expected a whole number from 1",
        ("chat", str(model_folder), "--top-p", "0.5"): "--top-p: no effect without --temperature",
        ("chat", str(model_folder), "--dtype", "int8"): "--dtype int8: possible: auto, float32, bfloat16",
        ("chat", str(model_folder), "--colors", "0-1", "--colors", "0-255"): "--colors is given twice",
    }
    for argv, message in refused.items():
        assert main(argv) == 2
        assert message in capsys.readouterr().err


def test_chat_help_lists_flags_and_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "-h"]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("--blind", "--temperature X", "--device NAME", "/cloud FILE", "/quit"))
