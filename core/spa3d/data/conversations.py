"""Conversation files in PointLLM's (LLaVA's) JSON, read so that 660,000 entries stay light and every error has a place.

An entry is ``{"object_id", "conversation_type", "conversations": [{"from": "human", "value": ...}, {"from": "gpt",
"value": ...}, ...]}``; the mark ``<point>`` in the first human turn says that a cloud is shown.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from spa3d.contracts.dataset import CAPTION, Conversation, Round
from spa3d.errors import DataError

POINT = "<point>"
KINDS = (CAPTION, "detailed_description", "single_round", "multi_round")
"""PointLLM's conversation types; an entry without one is a caption."""

_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonArray:
    """A file that holds one JSON array: parsed once for its index, and from then on entry by entry.

    The bytes and two offsets per entry are kept, a fraction of what the parsed objects would take.

    Args:
        path: the file, UTF-8.
        look: called with number and value of each entry while the index is made.

    Raises:
        DataError: the file is missing, is no JSON, or holds something other than an array.

    """

    def __init__(self, path: Path, look: Callable[[int, Any], None]) -> None:
        self.path = path
        self._raw = _read(path).removeprefix(b"\xef\xbb\xbf")
        self.digest = hashlib.sha256(self._raw).hexdigest()
        self._spans = array("q")
        text = _decoded(self._raw, path)
        seen = byte = 0
        for number, (start, end, value) in enumerate(_entries(text, path)):
            first = byte + len(text[seen:start].encode())
            seen, byte = end, first + len(text[start:end].encode())
            self._spans.extend((first, byte))
            look(number, value)

    def __len__(self) -> int:
        return len(self._spans) // 2

    def __getitem__(self, number: int) -> Any:
        start, end = self._spans[2 * number : 2 * number + 2]
        return json.loads(self._raw[start:end])


def object_of(entry: Any, where: str) -> str:
    """The ``object_id`` of an entry.

    Args:
        entry: anything that came out of a JSON file.
        where: file and number of the entry, for the message.

    Raises:
        DataError: the entry is no object, or has no ``object_id`` that is a text.

    """
    if not isinstance(entry, dict):
        raise DataError(f"{where}: {_kind(entry)} where an object with object_id and conversations is expected.")
    found = entry.get("object_id")
    if not isinstance(found, str) or not found or not found.isprintable():
        raise DataError(
            f"{where}: object_id is {'missing' if found is None else repr(found)}; it names the cloud's file."
        )
    return found


def conversation(entry: dict[str, Any], where: str, *, allow_text_only: bool = False) -> Conversation:
    """The conversation of an entry, ``<point>`` taken out of its first question.

    Args:
        entry: an entry that has an object_id (see `object_of`).
        where: file, number and record of the entry, for the message.
        allow_text_only: take an entry without ``<point>`` for a conversation without a cloud.

    Raises:
        DataError: missing keys, an unknown type, turns that do not go human, gpt, human, gpt ..., no ``<point>`` in
            the first question or one elsewhere, an empty question or answer.

    """
    kind = entry.get("conversation_type", CAPTION)
    if kind not in KINDS:
        raise DataError(f"{where}: conversation_type {kind!r}; it is one of {', '.join(KINDS)}.")
    turns = entry.get("conversations")
    if not isinstance(turns, list):
        raise DataError(f"{where}: conversations is {_kind(turns)}; a list of turns is expected.")
    if not turns or len(turns) % 2:
        raise DataError(f"{where}: {len(turns)} turns; each human turn is followed by one of gpt.")
    texts = [_turn(turn, number, where) for number, turn in enumerate(turns)]
    has_cloud = POINT in texts[0]
    if not has_cloud and not allow_text_only:
        raise DataError(
            f"{where}: no {POINT} in the first human turn; pass --dataset.allow_text_only if none is shown."
        )
    texts[0] = texts[0].replace(POINT, "", 1).strip()
    for number, text in enumerate(texts):
        if POINT in text:
            raise DataError(f"{where}: {POINT} in turn {number}; it stands once, in the first human turn.")
        if not text:
            raise DataError(f"{where}: empty {'answer' if number % 2 else 'question'} in turn {number}.")
    rounds = zip(texts[::2], texts[1::2], strict=True)
    return Conversation(kind, tuple(Round(question, answer) for question, answer in rounds), has_cloud)


def _turn(turn: Any, number: int, where: str) -> str:
    speaker = ("human", "gpt")[number % 2]
    if not isinstance(turn, dict) or not isinstance(turn.get("value"), str):
        raise DataError(f'{where}: turn {number} is not {{"from": "{speaker}", "value": text}}.')
    if turn.get("from") != speaker:
        raise DataError(f"{where}: turn {number} is from {turn.get('from')!r}, expected {speaker!r}; turns alternate.")
    if _SURROGATE.search(turn["value"]):
        raise DataError(f"{where}: turn {number} holds half of a surrogate pair, which is no text; save it as UTF-8.")
    return str(turn["value"]).strip()


def _entries(text: str, path: Path) -> Iterator[tuple[int, int, Any]]:
    """Start, end (in characters) and value of each entry of the array that `text` is."""
    decoder = json.JSONDecoder()
    place = _after_space(text, 0)
    if text[place : place + 1] != "[":
        raise DataError(f"{path}: a JSON array is expected, and this file starts with {text[place : place + 20]!r}.")
    place = _after_space(text, place + 1)
    more = text[place : place + 1] != "]"
    while more:
        try:
            value, end = decoder.raw_decode(text, place)
        except RecursionError as error:
            raise DataError(f"{path}: nested too deeply at character {place}.") from error
        except ValueError as error:
            raise DataError(_broken(path, text, getattr(error, "pos", place), str(error))) from error
        yield place, end, value
        place = _after_space(text, end)
        more = text[place : place + 1] == ","
        if not more and text[place : place + 1] != "]":
            raise DataError(_broken(path, text, place, "',' or ']' expected"))
        place = _after_space(text, place + 1) if more else place
    if _after_space(text, place + 1) != len(text):
        raise DataError(_broken(path, text, place + 1, "text behind the array"))


def _broken(path: Path, text: str, place: int, error: str) -> str:
    line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
    cut = "; the file ends there, copy it again" if place >= len(text) else ""
    return f"{path}: no valid JSON at line {line}, column {column}: {error.split(':')[0]}{cut}."


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error


def _decoded(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8.") from error


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "missing or null"}
    return names.get(type(value), "a number")
