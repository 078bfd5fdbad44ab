"""Keys of entries in files that people write."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from spa3d.errors import DataError

SIMILAR = 0.8
"""Similarity (difflib's ratio) from which a key counts as a misspelling of another."""


def refuse_misspelled(entry: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Refuse a key that looks like a missing key that is read; others are allowed.

    Args:
        entry: a JSON object.
        known: keys that are read.
        where: file and line or number of the entry, for messages.

    Raises:
        DataError: a key is misspelled; the message suggests the right one.

    """
    for key in entry.keys() - set(known):
        near = difflib.get_close_matches(key, set(known) - entry.keys(), n=1, cutoff=SIMILAR)
        if near:
            raise DataError(f"{where}: no key {key!r} is read; did you mean {near[0]!r}?")
