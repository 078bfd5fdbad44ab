"""Which files of a folder are clouds: by their endings, and texts also by their first lines."""

from __future__ import annotations

import re
from pathlib import Path

from spa3d.data.formats.read import find_format
from spa3d.errors import DataError
from spa3d.runtime.paths import open_file

_AMBIGUOUS = (".txt", ".csv")
"""Endings of clouds and of texts: the first lines decide."""
_LINES_READ = 4
_LONGEST_LINE = 10_000
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|nan|[-+]?inf", re.IGNORECASE)


def is_cloud_file(path: Path) -> bool:
    """Whether a file has the ending of a cloud, and is no text about clouds.

    Such a text is ``captions.csv`` or ``train.txt``. A file that cannot be opened counts as a cloud: reading it
    says why it cannot be read.
    """
    return find_format(path) is not None and has_points(path)


def has_points(path: Path) -> bool:
    """Whether a file with the ending of a cloud is one.

    A text is one if one of its first lines is numbers.
    """
    if not path.name.lower().endswith(_AMBIGUOUS):
        return True
    try:
        with open_file(path, str(path), DataError) as file:
            lines = [file.readline(_LONGEST_LINE) for _ in range(_LINES_READ)]
    except DataError:
        return True
    rows = (re.split(r"[\s,;\"]+", line.decode("utf-8", "replace").strip('\ufeff \t\r\n,;"')) for line in lines)
    return any(len(cells) >= 3 and all(map(_NUMBER.fullmatch, cells)) for cells in rows)
