import pickle
import re
import struct
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spa3d.data.formats.dat import LabeledClouds
from spa3d.errors import DataError

CLOUDS = [np.random.default_rng(number).standard_normal((50 + number, 6)).astype(np.float32) for number in range(5)]
LABELS = [np.array([3], dtype=np.int32), np.int64(4), 5, np.array(300), np.array([7], dtype=">i2")]


def write(folder: Path, value: Any, protocol: int = 4) -> Path:
    path = folder / "modelnet40_test_50pts_fps.dat"
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol=protocol))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError, match=re.escape(str(path))) as caught:
        LabeledClouds(path)
    return str(caught.value)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", [list, tuple])
def test_clouds_and_labels_of_each_protocol(tmp_path: Path, protocol: int, kind: type) -> None:
    read = LabeledClouds(write(tmp_path, kind([CLOUDS, LABELS]), protocol))
    assert (len(read), read.labels) == (5, (3, 4, 5, 300, 7))
    for number, cloud in enumerate(CLOUDS):
        points = read.read(number, where="here")
        np.testing.assert_array_equal(points[:, :3], cloud[:, :3])
        assert not points[:, 3:].any()  # normals are no colors
        assert points.dtype == np.float32


def test_the_names_of_old_numpy_and_other_arrays(tmp_path: Path) -> None:
    raw = pickle.dumps([CLOUDS, LABELS], protocol=2)
    assert b"numpy._core" in raw
    assert LabeledClouds(write(tmp_path, raw.replace(b"numpy._core", b"numpy.core"))).labels[3] == 300
    arrays = [np.asfortranarray(CLOUDS[0]), CLOUDS[1].astype(">f8"), CLOUDS[2][:, :3].astype(np.float16)]
    for protocol in (2, 4, 5):
        read = LabeledClouds(write(tmp_path, (arrays, [0, 1, 2]), protocol))
        for number, array in enumerate(arrays):
            np.testing.assert_array_equal(read.read(number, where="")[:, :3], array[:, :3])


def test_a_pickle_of_python_2(tmp_path: Path) -> None:
    """Strings of Python 2 are bytes; written by hand, as its numpy wrote them."""

    def short(text: bytes) -> bytes:
        return b"U" + bytes([len(text)]) + text

    cloud = np.arange(12, dtype="<f4").reshape(2, 6)
    kind = b"cnumpy\ndtype\n" + short(b"f4") + b"K\x00K\x01\x87R(K\x03" + short(b"<") + b"NNNJ\xff\xff\xff\xff" * 1
    kind += b"J\xff\xff\xff\xffK\x00tb"
    raw = b"\x80\x02](](cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + short(b"b") + b"\x87R"
    raw += b"(K\x01K\x02K\x06\x86" + kind + b"\x89T" + struct.pack("<I", 48) + cloud.tobytes() + b"tbe](K\x09ee."
    assert np.array_equal(pickle.loads(raw, encoding="latin1")[0][0], cloud)
    read = LabeledClouds(write(tmp_path, raw))
    assert read.labels == (9,)
    np.testing.assert_array_equal(read.read(0, where="")[:, :3], cloud[:, :3])


class Attack:
    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("function", [eval, exec, Path, print, np.load, sys.exit, np.random.default_rng])
def test_a_pickle_that_would_run_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], function: Any, protocol: int
) -> None:
    message = refusal(write(tmp_path, [CLOUDS, [Attack(function, "print('ran')"), *LABELS[1:]]], protocol))
    assert re.search(rf"the pickle calls [\w.]+\.{function.__name__}, which could run code; nothing of it", message)
    assert capsys.readouterr().out == ""


def test_os_system_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.")
    assert "calls posix.system" in refusal(path)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the file is empty"),
        (b"(lp0\n.", "no pickle of protocol 2 to 5"),
        (b"PK\x03\x04", "a zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"\x80\x04", "truncated"),
        (b"\x80\x04\x8e" + b"\xff" * 8 + b"abc.", "truncated: 4 of 18446744073709551615 bytes"),
        (b"\x80\x04X\xff\xff\xff\x7fabc.", "truncated: 4 of 2147483647 bytes"),
        (b"\x80\x02c" + b"a" * 300, "no line ends"),
        (b"\x80\x04a.", "takes a value that is not there"),
        (b"\x80\x04](a.", "takes a value that is not there"),
        (b"\x80\x04e.", "ends a list that does not begin"),
        (b"\x80\x04K\x01K\x02a.", "adds to something that is no list"),
        (b"\x80\x04h\x07.", "refers to part 7"),
        (b"\x80\x04K\x01K\x01R.", "makes no array"),
        (b"\x80\x04K\x01K\x01b.", "fills no array"),
        (b"\x80\x04\x8c\x01\xff.", "not UTF-8"),
        (b"\x80\x04P1\n.", "opcode 0x50 at byte 2"),
        (b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00O8\x89\x88\x87R.", "an array of type 'O8'"),
        (b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00M8\x89\x88\x87R.", "an array of type 'M8'"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, raw: bytes, message: str) -> None:
    assert message in refusal(write(tmp_path, raw))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"data": CLOUDS, "label": LABELS}, "this file has a dict with the keys 'data', 'label'"),
        (CLOUDS, "a list of 5 (an array (50, 6) of float32, an array (51, 6) of float32"),
        (np.zeros((4, 8, 6)), "an array (4, 8, 6) of float64"),
        ([], "a list of 0"),
        ([[], []], "a list of 2 (a list of 0, a list of 0)"),
        (None, "has nothing"),
        ("text", "the str 'text'"),
        ([CLOUDS, LABELS[:4]], "5 clouds and 4 labels"),
        ([CLOUDS, [*LABELS[:4], -1]], "label 4: the int -1; a label is a number"),
        ([CLOUDS, [*LABELS[:4], True]], "label 4"),
        ([CLOUDS, [*LABELS[:4], "chair"]], "label 4: the str 'chair'"),
        ([CLOUDS, [*LABELS[:4], np.array([1, 2])]], "label 4: an array (2,) of int64"),
        ([[*CLOUDS[:4], np.zeros((9, 4))], LABELS], "cloud 4: an array (9, 4) of float64; a cloud is floats (N, 6)"),
        ([[*CLOUDS[:4], np.zeros((9, 3), dtype=int)], LABELS], "cloud 4: an array (9, 3) of int64"),
        ([[*CLOUDS[:4], [[0.0, 1.0]]], LABELS], "cloud 4: a list of 1"),
    ],
)
def test_another_layout_is_described(tmp_path: Path, value: Any, message: str) -> None:
    assert message in refusal(write(tmp_path, value))


def test_an_array_that_declares_more_than_it_has_is_refused_without_allocation(tmp_path: Path) -> None:
    raw = pickle.dumps([[CLOUDS[0]], [1]], protocol=4)
    assert raw.count(b"K2K\x06\x86") == 1  # the shape (50, 6)
    path = write(tmp_path, raw.replace(b"K2K\x06\x86", b"J\xff\xff\xff\x7fK\x06\x86"))
    tracemalloc.start()
    assert "declares an array (2147483647, 6) of float32, 51539607528 bytes, and has 1200 of it" in refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("cut", [1, 60, 700, 1250, 4000])
def test_a_truncated_file_is_refused(tmp_path: Path, cut: int) -> None:
    raw = pickle.dumps([CLOUDS, LABELS], protocol=3)
    assert "truncated" in refusal(write(tmp_path, raw[:-cut]))


def test_a_list_that_holds_itself_and_lists_of_lists_end(tmp_path: Path) -> None:
    own: list[Any] = []
    own.append(own)
    assert "a list of 1 (a list of 1)" in refusal(write(tmp_path, own))
    inner: list[Any] = [0] * 3000
    for _ in range(4):
        inner = [inner] * 3000  # 3000 ** 5 numbers, in a few kilobytes
    assert "a list of 3000" in refusal(write(tmp_path, inner))


def test_clouds_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, [CLOUDS, LABELS])
    read = pickle.loads(pickle.dumps(LabeledClouds(path)))
    assert len(pickle.dumps(read)) < 4000  # the clouds stay in the file
    np.testing.assert_array_equal(read.read(4, where="")[:, :3], CLOUDS[4][:, :3])
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=re.escape("chair: 0 of 1296 bytes; copy the file again")):
        read.read(4, where="chair")


def test_a_cloud_with_nan_names_the_object(tmp_path: Path) -> None:
    read = LabeledClouds(write(tmp_path, [[np.full((4, 6), np.nan, dtype=np.float32)], [0]]))
    with pytest.raises(DataError, match="chair: NaN or infinity in 4 of 4 points"):
        read.read(0, where="chair")
