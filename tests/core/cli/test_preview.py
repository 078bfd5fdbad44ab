import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spa3d.cli import main

SMALL = ("--dataset", "shapes-smoke")


def test_a_contact_sheet_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sheet.png"
    assert main(["preview", "dataset", str(path), *SMALL, "--split", "counterfactual", "--count", "7"]) == 0
    assert "7 of the 16 records of shapes-smoke, split counterfactual" in capsys.readouterr().out
    with Image.open(path) as sheet:
        wide, tall = sheet.size
    assert (wide, tall % 2) == (6 * 220, 0)


def test_no_more_than_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["preview", "dataset", str(tmp_path / "sheet.png"), *SMALL, "--count=999", "--dataset.test=3"]
    assert main(argv) == 0
    assert "3 of the 3 records" in capsys.readouterr().out


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "--help"]) == 0
    told = capsys.readouterr().out
    for flag in ("--split", "--count", "--dataset", "--config", "--plugin"):
        assert flag in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("preview", "no subject ''"),
        ("preview datset sheet.png", "did you mean 'dataset'"),
        ("preview dataset", "name one file"),
        ("preview dataset a.png b.png", "name one file"),
        ("preview dataset sheet.jpg", "ends in .png"),
        ("preview dataset no/such/sheet.png", "there is no folder"),
        ("preview dataset sheet.png --count 0", "--count 0: a whole number"),
        ("preview dataset sheet.png --count many", "--count many: a whole number"),
        ("preview dataset sheet.png --split", "--split: its value is missing"),
        ("preview dataset sheet.png --split dev", "no split 'dev'"),
        ("preview dataset sheet.png --dataset shaps", "did you mean 'shapes'"),
        ("preview dataset sheet.png --dataset.points 3", "--dataset.points 3"),
        ("preview dataset sheet.png --colour red", "--colour red"),
        ("preview dataset /dev/null/sheet.png", "there is no folder /dev/null"),
    ],
)
def test_faults_are_told_in_one_message(
    words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    caught = capsys.readouterr()
    assert told in caught.err
    assert not caught.out
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sheet.png").mkdir()
    assert main(["preview", "dataset", str(tmp_path / "sheet.png"), *SMALL, "--count", "1"]) == 2
    assert "sheet.png: cannot be written (Is a directory)" in capsys.readouterr().err


def lay_out(root: Path) -> None:
    """Two objects in PointLLM's layout, one of them without a shape."""
    (root / "8192_npy").mkdir(parents=True)
    (root / "anno_data").mkdir()
    entries = []
    for name, cloud in (("good", np.random.default_rng(0).random((40, 6))), ("bad", np.ones((40, 6)))):
        np.save(root / "8192_npy" / f"{name}_8192.npy", cloud.astype(np.float32))
        turns = [{"from": "human", "value": "<point>"}, {"from": "gpt", "value": "[/red]<script>|"}]
        turns[0]["value"] += "What is it?"
        entries.append({"object_id": name, "conversations": turns})
    (root / "anno_data" / "brief_test.json").write_text(json.dumps(entries))


def test_bad_clouds_end_it_or_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(tmp_path / "data")
    sheet = tmp_path / "sheet.png"
    argv = ["preview", "dataset", str(sheet), "--dataset", "pointllm", "--dataset.root", str(tmp_path / "data")]
    assert main(argv) == 2
    assert "record bad: the 40 points" in capsys.readouterr().err
    assert not sheet.exists()
    assert main([*argv, "--on-bad-data", "skip"]) == 0
    caught = capsys.readouterr()
    assert "1 of the 2 records" in caught.out
    assert "left out: record bad" in caught.err
