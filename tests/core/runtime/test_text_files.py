"""Text files are read with or without a byte order mark, and errors name the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spa3d.errors import ConfigError, DataError
from spa3d.runtime.text_files import read_text


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_read_text_leaves_out_the_byte_order_mark(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(mark + "é\r\n".encode())
    assert read_text(path) == "é\r\n"


def test_read_text_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(DataError, match=r"a\.txt: cannot be read: no such file"):
        read_text(path)
    path.write_bytes("é".encode("utf-16"))
    with pytest.raises(ConfigError, match=r"a\.txt: not UTF-8 at byte 0; save it as UTF-8"):
        read_text(path, ConfigError)
    with pytest.raises(DataError, match="cannot be read: it is a folder"):
        read_text(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: cannot be read: it is no regular file"):
        read_text(tmp_path / "pipe")
    with pytest.raises(DataError, match="cannot be read: embedded null byte"):
        read_text(Path("a\0b"))
