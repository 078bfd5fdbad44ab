"""``spa3d doctor``: what it prints and writes, its exit codes, and the errors that name it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spa3d.cli import main
from spa3d.data.formats.contract import Cloud

MakeTable = Callable[..., Cloud]


@pytest.fixture
def bright(tmp_path: Path, make_table: MakeTable) -> Path:
    """A table with colors 0-255."""
    array = make_table().to_array()
    array[:, 3:] = np.round(array[:, 3:] * 255)
    np.save(tmp_path / "bright.npy", array)
    return tmp_path / "bright.npy"


def test_doctor_prints_figures_findings_and_the_command_that_mends(
    bright: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(bright)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.startswith("colors 0 to 255, mean") for line in lines)
    assert any(line.startswith("up axis (a guess) y (") for line in lines)
    assert "fault: colors from 0 to 255, all whole numbers: they look like 0 to 255 [colors-255]" in lines
    assert "effect: run, chat and predict refuse the cloud, unless the range is declared" in lines
    assert any(line.startswith("remedy: --dataset.colors 0-255 in a run;") for line in lines)
    assert f"certain: spa3d doctor {bright} --fix OUT.npy (takes --colors 0-255)" in lines


def test_doctor_writes_json_picture_and_copy(
    bright: Path, tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["doctor", str(bright), "--for", str(model_folder), "--json", str(tmp_path / "a.json")]
    argv += ["--picture", str(tmp_path / "a.png"), "--fix", str(tmp_path / "fixed.npy")]
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert " expects" in printed
    assert "1 cloud repaired; log: " in printed
    values = json.loads((tmp_path / "a.json").read_text())
    assert [finding["kind"] for finding in values["findings"]] == ["colors-255", "model-thinned"]
    assert values["findings"][0]["fix"] == "--colors 0-255"
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
    assert main(["doctor", str(tmp_path / "fixed.npy")]) == 0
    assert "no findings" in capsys.readouterr().out
    assert main(argv) == 2
    assert "fixed.npy: exists; nothing is overwritten" in capsys.readouterr().err


def test_doctor_takes_the_steps_that_are_named(bright: Path, tmp_path: Path) -> None:
    steps = ["--colors", "0-255", "--up-axis", "-z", "--center", "--scale", "0.5", "--resample", "700"]
    assert main(["doctor", str(bright), "--fix", str(tmp_path / "b.npy"), *steps]) == 0
    fixed, before = np.load(tmp_path / "b.npy"), np.load(bright)
    assert fixed.shape == (700, 6)
    assert np.ptp(fixed[:, 1]) == pytest.approx(0.5 * np.ptp(before[:, 2]), rel=0.05)
    assert len((tmp_path / "b.npy.log").read_text().splitlines()) == 6


def test_doctor_of_a_dataset_prints_splits_and_scores_without_clouds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["doctor", "--dataset", "shapes-smoke", "--dataset.train", "20", "--count", "4"]
    assert main([*argv, "--json", str(tmp_path / "set.json")]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.startswith("train 20 ") for line in lines)
    assert any(line.startswith("choice ") and " 25.0% " in line for line in lines)
    assert "dataset shapes-smoke: 4 of 76 clouds were read" in lines
    assert json.loads((tmp_path / "set.json").read_text())["clouds_examined"] == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("doctor", "name one file of a cloud or one folder"),
        ("doctor a.npy b.npy", "name one file of a cloud or one folder"),
        ("doctor none.npy", "none.npy: cannot be read: no such file"),
        ("doctor a.xyzw", "a.xyzw: cannot be read: no such file"),
        ("doctor none --dataset shapes", "none: cannot be read: no such file"),
        ("doctor a.npy --colors 0-255", "--colors: no effect without --fix OUT"),
        ("doctor a.npy --fix b.npy --colors 255", "--colors 255: expected the lowest and the largest color"),
        ("doctor a.npy --fix b.npy --color red", "--color red: expected three numbers from 0 to 1"),
        ("doctor a.npy --fix b.npy --up-axis w", "--up-axis w: possible: x, y, z, -x, -y, -z"),
        ("doctor a.npy --fix b.npy --scale big", "--scale big: expected a number"),
        ("doctor a.npy --fix b.npy --resample 0", "--resample 0: expected a whole number"),
        ("doctor a.npy --count 3", "--count: no effect on one cloud"),
        ("doctor a.npy --dataset shapes", "is no folder, so --dataset"),
        ("doctor . --picture a.png", "--picture: draws one cloud"),
        ("doctor --dataset shapes --fix b", "--fix: name the file or folder to repair"),
        ("doctor a.npy --picture a.jpg", "choose a name that ends in .png"),
        ("doctor a.npy --json no/a.json", "there is no folder no"),
        ("doctor a.npy --for pointnet3", "no encoder 'pointnet3'; did you mean"),
        ("doctor a.npy --drop-invalids", "no flag '--drop-invalids'"),
    ],
)
def test_doctor_reports_errors_in_one_message(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if "none" not in words:
        np.save("a.npy", np.eye(3))
    assert main(words.split()) == 2
    caught = capsys.readouterr()
    assert message in " ".join(caught.err.split())
    assert "shows more" not in caught.err, "the doctor does not name itself"
    assert {path.name for path in tmp_path.iterdir()} <= {"a.npy"}


def test_doctor_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--help"]) == 0
    printed = capsys.readouterr().out
    for flag in ("--for", "--picture", "--json", "--fix", "--drop-outliers", "--resample", "--dataset"):
        assert flag in printed


def test_doctor_as_a_command(bright: Path, clean_environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "spa3d", "doctor", bright.name]
    done = subprocess.run(command, cwd=bright.parent, env=clean_environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "[colors-255]" in done.stdout


def test_errors_of_other_verbs_name_the_command(
    bright: Path, tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One cloud: its file. Records of a data set: the flags that chose it."""
    (tmp_path / "q.jsonl").write_text(json.dumps({"id": "1", "cloud": bright.name, "question": "What is it?"}))
    argv = ["predict", str(model_folder), "--input", str(tmp_path / "q.jsonl"), "--output", str(tmp_path / "a.jsonl")]
    assert main(argv) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"spa3d doctor {bright} shows more"
    scans = tmp_path / "scans"
    scans.mkdir()
    np.save(scans / "1.npy", np.eye(3))
    for texts in ("{}", '{"images": [], "annotations": []}'):  # nothing about the clouds; another project's layout
        (scans / "captions.json").write_text(texts)
        flags = ["--dataset", "folder", "--dataset.root", str(scans)]
        assert main(["preview", "dataset", str(tmp_path / "sheet.png"), *flags]) == 2
        hint = capsys.readouterr().err.splitlines()[-1]
        assert hint == f"spa3d doctor {' '.join(flags)} shows more"
        assert main(hint.split()[1:-2]) == 0
        assert "[no-data-set]" in capsys.readouterr().out
    root = tmp_path / "data"
    (root / "8192_npy").mkdir(parents=True)
    (root / "anno_data").mkdir()
    turns = [{"from": "human", "value": "<point>\nWhat is it?"}, {"from": "gpt", "value": "A table."}]
    entries = [{"object_id": name, "conversations": turns} for name in ("one", "two")]
    for name in ("one", "two"):
        np.save(root / "8192_npy" / f"{name}_8192.npy", np.ones((40, 6), np.float32))
    (root / "anno_data" / "brief_test.json").write_text(json.dumps(entries))
    flags = ["--dataset", "pointllm", f"--dataset.root={root}"]
    assert main(["preview", "dataset", str(tmp_path / "sheet.png"), *flags]) == 2
    assert (
        capsys.readouterr().err.splitlines()[-1] == f"spa3d doctor --dataset pointllm --dataset.root={root} shows more"
    )
