from pathlib import Path

import pytest

import spa3d
from spa3d.data.formats.content import describe_content
from spa3d.data.formats.read import FORMATS
from spa3d.errors import DataError

CASES = [
    (
        b"ply\nformat ascii 1.0\n",
        "a.xyz",
        "it looks like a PLY file, although its name ends in .xyz; rename it to .ply.",
    ),
    (b"\n<!DOCTYPE html><html>", "a.ply", "it looks like an HTML page; the download was answered with a page"),
    (b"<html><body>", "a.pcd", "an HTML page"),
    (b"version https://git-lfs.github.com/spec/v1\noid", "a.las", "a Git LFS pointer; fetch the file itself"),
    (b"PK\x03\x04....", "a.ply", "a ZIP archive, although its name ends in .ply; unpack it first."),
    (b"\x1f\x8b\x08\0", "a.pcd", "a gzip archive; unpack it first."),
    (b"LASF\0\0", "a.e57", "a LAS or LAZ file, although its name ends in .e57; rename it to .las or .laz."),
    (b"\x89PNG\r\n", "a.csv", "a picture"),
    (b"\x80\x04K\x01.", "a.npz", "a pickle, which is never loaded"),
    (b"", "a.e57", "the file is empty; copy it again."),
]


@pytest.mark.parametrize(("content", "name", "message"), CASES)
def test_read_cloud_content_that_contradicts_the_name(tmp_path: Path, content: bytes, name: str, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        spa3d.read_cloud(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert message in str(caught.value)


def test_describe_content_of_unknown_bytes_is_none() -> None:
    assert describe_content(b"1 2 3\n4 5 6\n") is None


@pytest.mark.parametrize("suffix", [suffix for each in FORMATS for suffix in each.suffixes])
def test_read_cloud_empty_file_of_any_format(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty; copy it again"):
        spa3d.read_cloud(tmp_path / f"a{suffix}")
