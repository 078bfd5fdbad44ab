"""Reader of text files that people write: UTF-8, with or without a byte order mark."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

from spa3d.errors import DataError, SpaError


def read_text(path: Path, error_type: type[SpaError] = DataError) -> str:
    """Read a text file, without the byte order mark that some editors write.

    Raises:
        SpaError: as `error_type`: there is no such file, it cannot be read, or it is not UTF-8.

    """
    return decode(read_bytes(path, error_type), path, error_type)


def read_bytes(path: Path, error_type: type[SpaError] = DataError) -> bytes:
    """Read a text file undecoded, without its byte order mark; raises as `read_text` does."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would wait for its writer
            raise error_type(f"{path}: cannot be read: it is {'a folder' if path.is_dir() else 'no regular file'}.")
        return path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except FileNotFoundError as error:
        raise error_type(f"{path}: there is no such file.") from error
    except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
        raise error_type(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def decode(raw: bytes, path: Path, error_type: type[SpaError] = DataError) -> str:
    """Decode the bytes of a text file; raises `error_type` if they are not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise error_type(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8.") from error
