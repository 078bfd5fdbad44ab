"""Repaired copies: examined again, they have no such finding, and the original is as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spa3d.data.doctor.repairs import Repairs
from spa3d.data.formats.contract import Cloud
from spa3d.data.formats.read import read_cloud
from spa3d.errors import DataError, OutputError
from spa3d.pipeline.doctor import examine
from spa3d.pipeline.repair import repair

MakeTable = Callable[..., Cloud]


@pytest.fixture
def broken(tmp_path: Path, make_table: MakeTable) -> Path:
    """A table with NaN, colors 0-255 and z up."""
    table = make_table()
    assert table.colors is not None
    array = np.concatenate([table.points[:, (2, 0, 1)], np.round(table.colors * 255)], axis=1, dtype=np.float32)
    array[3] = np.nan
    path = tmp_path / "broken.npy"
    np.save(path, array)
    return path


def kinds(path: Path) -> list[str]:
    return [finding.kind for finding in examine(path).findings]


def test_certain_steps_are_taken_unasked(broken: Path, tmp_path: Path) -> None:
    before = broken.read_bytes()
    assert kinds(broken) == ["invalid", "colors-255", "up-axis"]
    result = repair(broken, tmp_path / "fixed.npy")
    assert kinds(tmp_path / "fixed.npy") == ["up-axis"], "a guess is not certain"
    assert broken.read_bytes() == before
    assert result.log.read_text().splitlines() == [
        f"{broken} -> {tmp_path / 'fixed.npy'}",
        "  dropped 1 point with NaN or infinity",
        "  scaled the colors from 0 to 255 to 0 to 1",
    ]


def test_recommended_steps_remove_all_findings(broken: Path, tmp_path: Path) -> None:
    repair(broken, tmp_path / "fixed.npy", examine(broken).recommended_repairs)
    assert kinds(tmp_path / "fixed.npy") == []
    assert len(read_cloud(tmp_path / "fixed.npy")) == 5999


def test_steps_that_leave_an_invalid_cloud_write_nothing(broken: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"repaired: NaN or infinity in 1 of 6000 points"):
        repair(broken, tmp_path / "fixed.npy", Repairs(colors=(0, 255)))
    assert [path.name for path in tmp_path.iterdir()] == ["broken.npy"]


def test_outputs_that_are_refused(broken: Path, tmp_path: Path, make_table: MakeTable) -> None:
    with pytest.raises(OutputError, match="exists; nothing is overwritten"):
        repair(broken, broken)
    with pytest.raises(OutputError, match=r"written as \.npy or \.ply"):
        repair(broken, tmp_path / "fixed.obj")
    with pytest.raises(OutputError, match="there is no folder"):
        repair(broken, tmp_path / "no" / "fixed.npy")
    (tmp_path / "fixed.npy.log").touch()
    with pytest.raises(OutputError, match="would be the log"):
        repair(broken, tmp_path / "fixed.npy")
    np.save(tmp_path / "good.npy", make_table().to_array())
    with pytest.raises(DataError, match="nothing that is certain to repair"):
        repair(tmp_path / "good.npy", tmp_path / "copy.npy")


def test_a_folder_is_copied_with_repaired_clouds(broken: Path, tmp_path: Path, make_table: MakeTable) -> None:
    root = tmp_path / "data"
    (root / "clouds").mkdir(parents=True)
    broken.rename(root / "clouds" / "broken.npy")
    np.save(root / "clouds" / "good.npy", make_table().to_array())
    (root / "clouds" / "torn.npy").write_bytes(b"\x93NUMPY")
    (root / "texts.json").write_text(json.dumps({"broken": "a table"}))
    (root / "captions.csv").write_text("file,caption\nclouds/broken.npy,A table.\n")
    (root / "train.txt").write_text("clouds/broken\n")
    result = repair(root, tmp_path / "fixed")
    assert result.repaired == 1
    assert [line.partition(":")[0] for line in result.left_out] == ["left out clouds/torn.npy"]
    copies = {path.relative_to(tmp_path / "fixed").as_posix() for path in (tmp_path / "fixed").rglob("*.*")}
    assert copies == {"clouds/broken.npy", "clouds/good.npy", "texts.json", "captions.csv", "train.txt", "repairs.log"}
    assert kinds(tmp_path / "fixed" / "clouds" / "broken.npy") == ["up-axis"]
    good = Path("clouds") / "good.npy"
    assert (tmp_path / "fixed" / good).read_bytes() == (root / good).read_bytes()
    log = (tmp_path / "fixed" / "repairs.log").read_text()
    assert "clouds/broken.npy -> clouds/broken.npy\n  dropped 1 point with NaN" in log
    assert "left out clouds/torn.npy" in log
    with pytest.raises(OutputError, match="exists"):
        repair(root, tmp_path / "fixed")
    with pytest.raises(OutputError, match="lies inside"):
        repair(root, root / "fixed")


def test_a_mesh_becomes_a_cloud_of_the_requested_number(tmp_path: Path) -> None:
    corners = ["v 0 0 0", "v 2 0 0", "v 0 1 0", "v 0 0 1"]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "corner.obj").write_text("\n".join([*corners, "f 1 2 3", "f 1 2 4", ""]))
    repair(tmp_path / "data" / "corner.obj", tmp_path / "corner.npy", Repairs(resample=500, scale=2.0))
    cloud = read_cloud(tmp_path / "corner.npy")
    assert len(cloud) == 500
    assert 3.5 < cloud.points[:, 0].max() <= 4
    result = repair(tmp_path / "data", tmp_path / "fixed", Repairs(resample=500))
    assert (tmp_path / "fixed" / "corner.ply").is_file()
    assert result.lines[0] == "corner.obj -> corner.ply"
