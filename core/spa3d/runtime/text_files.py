"""Reader of text files that people write: UTF-8, with or without a byte order mark."""

from __future__ import annotations

import codecs
from pathlib import Path

from spa3d.errors import DataError, SpaError
from spa3d.runtime.paths import open_file


def read_text(path: Path, error_type: type[SpaError] = DataError) -> str:
    """Read a text file, without the byte order mark that some editors write.

    Raises:
        SpaError: as `error_type`: there is no such file, it cannot be read, or it is not UTF-8.

    """
    return decode(read_bytes(path, error_type), path, error_type)


def read_bytes(path: Path, error_type: type[SpaError] = DataError) -> bytes:
    """Read a text file undecoded, without its byte order mark; raises as `read_text` does."""
    with open_file(path, str(path), error_type) as file:
        return file.read().removeprefix(codecs.BOM_UTF8)


def decode(raw: bytes, path: Path, error_type: type[SpaError] = DataError) -> str:
    """Decode the bytes of a text file; raises `error_type` if they are not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise error_type(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8.") from error
