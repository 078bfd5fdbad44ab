import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spa3d import available
from spa3d.cli import main

SMALL = ("--dataset", "shapes-smoke")


def test_preview_dataset_draws_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sheet.png"
    assert main(["preview", "dataset", str(path), *SMALL, "--split", "counterfactual", "--count", "7"]) == 0
    assert "7 of the 16 records of shapes-smoke, split counterfactual" in capsys.readouterr().out
    with Image.open(path) as sheet:
        wide, tall = sheet.size
    assert (wide, tall % 2) == (6 * 220, 0)


def test_preview_dataset_count_beyond_the_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["preview", "dataset", str(tmp_path / "sheet.png"), *SMALL, "--count=999", "--dataset.test=3"]
    assert main(argv) == 0
    assert "3 of the 3 records" in capsys.readouterr().out


TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 {top} {depth}\nf 1 2 3\n"


@pytest.fixture
def clouds(tmp_path: Path) -> Path:
    """A folder of a mesh, a cloud below it, a broken file, and others."""
    folder = tmp_path / "clouds"
    (folder / "inner").mkdir(parents=True)
    (folder / "mesh.obj").write_text(TRIANGLE.format(top=1, depth=0))
    np.save(folder / "inner" / "cloud.npy", np.random.default_rng(0).random((50, 6)).astype("f4"))
    (folder / "broken.obj").write_text("f 1 2 3\n")
    (folder / "notes.txt.bak").write_text("no cloud")
    (folder / ".hidden.obj").write_text("f 1 2 3\n")
    return folder


def test_preview_cloud_draws_what_can_be_read(clouds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = clouds.parent / "sheet.png"
    assert main(["preview", "cloud", str(sheet), str(clouds), "--points", "100"]) == 0
    caught = capsys.readouterr()
    assert f"{sheet}: 2 of 3 files; 1 cannot be read" in caught.out
    assert f"skipped: {clouds / 'broken.obj'}: a face of vertex 1, but the file has 0" in caught.err
    assert "note: mesh.obj: a mesh: 100 points drawn from 1 triangles" in caught.err
    with Image.open(sheet) as image:
        assert image.size[0] == 2 * 220


def test_preview_cloud_flags_may_stand_anywhere(clouds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = clouds.parent / "sheet.png"
    words = ["preview", "--count", "1", "cloud", "--up-axis", "z", str(sheet), "--colors=0-1", str(clouds / "mesh.obj")]
    assert main(words) == 0
    assert f"{sheet}: 1 of 1 file\n" in capsys.readouterr().out


def test_preview_cloud_turns_the_up_axis(tmp_path: Path) -> None:
    (tmp_path / "y.obj").write_text(TRIANGLE.format(top=1, depth=0))
    (tmp_path / "z.obj").write_text("v 0 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\n")  # the same, with y for x and z for y
    sheets = []
    for name, axis in (("y", "auto"), ("y", "y"), ("z", "z"), ("z", "y")):
        path = tmp_path / f"{name}-{axis}.png"
        assert main(["preview", "cloud", str(path), str(tmp_path / f"{name}.obj"), "--up-axis", axis]) == 0
        with Image.open(path) as image:
            sheets.append(np.asarray(image.crop((0, 0, 220, 220))))
    assert (sheets[0] == sheets[1]).all()
    assert (sheets[1] == sheets[2]).all()
    assert (sheets[2] != sheets[3]).any()


def test_preview_cloud_reads_colors_of_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "bytes.npy", np.full((50, 6), 200, "f4") + np.arange(50, dtype="f4")[:, None])
    argv = ["preview", "cloud", str(tmp_path / "sheet.png"), str(tmp_path / "bytes.npy")]
    assert main(argv) == 2
    assert "colors look like 0-255" in capsys.readouterr().err
    assert main([*argv, "--colors", "0-255"]) == 0


def test_preview_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "--help"]) == 0
    printed = capsys.readouterr().out
    for flag in (
        "--points",
        "--up-axis",
        "--colors",
        "--split",
        "--count",
        "--level",
        "--noise",
        "--dataset",
        "--config",
        "--plugin",
    ):
        assert flag in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("preview", "no subject ''"),
        ("preview datset sheet.png", "did you mean 'dataset'"),
        ("preview dataset", "name one file"),
        ("preview dataset a.png b.png", "name one file"),
        ("preview dataset sheet.jpg", "ends in .png"),
        ("preview dataset no/such/sheet.png", "there is no folder"),
        ("preview dataset sheet.png --count 0", "--count 0: expected a whole number"),
        ("preview dataset sheet.png --count many", "--count many: expected a whole number"),
        ("preview dataset sheet.png --split", "--split: its value is missing"),
        ("preview dataset sheet.png --split dev", "no split 'dev'"),
        ("preview dataset sheet.png --dataset shaps", "did you mean 'shapes'"),
        ("preview dataset sheet.png --dataset.points 3", "--dataset.points 3"),
        ("preview dataset sheet.png --color red", "--color red"),
        ("preview dataset /dev/null/sheet.png", "there is no folder /dev/null"),
        ("preview dataset sheet.png --level 0.5", "--level 0.5"),
        ("preview noise", "as in: spa3d preview noise sheet.png"),
        ("preview noise sheet.png --level 0.5,1.5", "--level 0.5,1.5: expected numbers from 0 to 1"),
        ("preview noise sheet.png --level nan", "--level nan: expected numbers from 0 to 1"),
        ("preview noise sheet.png --level half", "--level half: expected numbers from 0 to 1"),
        ("preview noise sheet.png --noise.level 0.5", "--noise.level: a sheet shows several levels; give --level"),
        ("preview noise sheet.png --noise mask,gausian", "did you mean 'gaussian'"),
        ("preview noise sheet.png --noise mask,crop --noise.patches 8", "--noise.patches"),
        ("preview noise sheet.png --split dev", "no split 'dev'"),
        ("preview cloud", "name the sheet, then files or folders"),
        ("preview cloud sheet.png", "name the sheet, then files or folders"),
        ("preview cloud sheet.jpg .", "ends in .png"),
        ("preview cloud sheet.png .", ".: no cloud files in it, by their endings"),
        ("preview cloud sheet.png gone.ply", "gone.ply: "),
        ("preview cloud sheet.png . --count 0", "--count 0: expected a whole number from 1 to 600"),
        ("preview cloud sheet.png . --points 0", "--points 0: expected a whole number"),
        ("preview cloud sheet.png . --up-axis w", "--up-axis w: possible: auto, x, y, z"),
        ("preview cloud sheet.png . --colors 0-9", "--colors 0-9: possible: 0-1, 0-255"),
        ("preview cloud sheet.png . --colour 0-1", "did you mean '--colors'"),
        ("preview cloud sheet.png . --split test", "--split"),
        ("preview noise sheet.png --count 0", "--count 0: expected a whole number"),
    ],
)
def test_preview_reports_errors_in_one_message(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    caught = capsys.readouterr()
    assert message in caught.err
    assert not caught.out
    assert not list(tmp_path.iterdir())


def test_preview_unwritable_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sheet.png").mkdir()
    assert main(["preview", "dataset", str(tmp_path / "sheet.png"), *SMALL, "--count", "1"]) == 2
    assert "sheet.png: cannot be written (Is a directory)" in capsys.readouterr().err


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as sheet:
        return np.asarray(sheet.convert("RGB"))


def test_preview_noise_draws_every_noise_and_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "noise.png"
    assert main(["preview", "noise", str(path), *SMALL, "--level", "0.2,0.8", "--count", "2"]) == 0
    names = available("noise")
    printed = capsys.readouterr().out
    assert f"{', '.join(names)} at 0.2, 0.8 on 2 of the 24 records of shapes-smoke, split test" in printed
    sheet = pixels(path)
    assert sheet.shape[1] == (1 + 1 + 2) * 200
    assert sheet.shape[0] > 2 * len(names) * 200


def test_preview_noise_takes_settings(tmp_path: Path) -> None:
    """Towards black and towards gray are two pictures of level 1, and one of the clean cloud."""
    sheets = []
    for towards in ("gray", "black"):
        path = tmp_path / f"{towards}.png"
        argv = ["preview", "noise", str(path), *SMALL, "--noise", "color-strip", "--level", "1"]
        assert main([*argv, "--noise.towards", towards]) == 0
        sheets.append(pixels(path))
    gray, black = sheets
    assert np.array_equal(gray[:, 200:400], black[:, 200:400])
    assert not np.array_equal(gray[:, 400:], black[:, 400:])
    spread = gray[:, 400:].max(axis=2).astype(int) - gray[:, 400:].min(axis=2)
    assert spread.max() < 30, "nothing is left but gray, on a ground that is bluish"


PLUGIN = """
from spa3d import Component, Noise, hookimpl

class Gone(Noise):
    def apply(self, points, draws):
        return points[:, :0]

@hookimpl
def spa3d_components():
    yield Component("noise", "gone", "gone:Gone", "Leaves nothing")
"""


def test_preview_third_party_noise_and_its_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["preview", "noise", str(tmp_path / "sheet.png"), *SMALL, "--level", "0.5"]
    for name, body in (("gone", "points[:, :0]"), ("faint", "points * (1 - self.level)")):
        (tmp_path / f"{name}.py").write_text(PLUGIN.replace("gone", name).replace("points[:, :0]", body))
        argv += ["--plugin", str(tmp_path / f"{name}.py")]
    assert main([*argv, "--noise", "faint,gone"]) == 2
    printed = capsys.readouterr().err
    assert "--noise gone at level 0.5: gone.Gone (" in printed
    assert "expected an output of shape (1, 1024, 6), got (1, 0, 6)" in printed
    assert main([*argv, "--noise", "faint,mask"]) == 0
    assert "faint, mask at 0.5 on 1 of the 24 records" in capsys.readouterr().out


def write_data(root: Path) -> None:
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


def test_preview_bad_clouds_stop_or_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(tmp_path / "data")
    sheet = tmp_path / "sheet.png"
    argv = ["preview", "dataset", str(sheet), "--dataset", "pointllm", "--dataset.root", str(tmp_path / "data")]
    assert main(argv) == 2
    assert "record bad: the 40 points" in capsys.readouterr().err
    assert not sheet.exists()
    assert main([*argv, "--on-bad-data", "skip"]) == 0
    caught = capsys.readouterr()
    assert "1 of the 2 records" in caught.out
    assert "skipped: record bad" in caught.err
    words = ["noise", str(sheet), "--noise", "mask", "--level", "0.5", "--count", "2", "--on-bad-data", "skip"]
    assert main(["preview", *words, *argv[3:]]) == 0
    assert "mask at 0.5 on 1 of the 2 records of pointllm" in capsys.readouterr().out
