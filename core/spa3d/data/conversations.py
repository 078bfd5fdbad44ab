"""Conversation files in PointLLM's (LLaVA's) JSON, with low memory use and located errors.

PointLLM's training file has 660,000 entries. An entry is ``{"object_id", "conversation_type", "conversations": [...]}``
with turns ``{"from": "human", "value": ...}`` and ``{"from": "gpt", "value": ...}``. The mark ``<point>`` in the first
human turn stands for the cloud. As the first or last line it means the usual place, in front; elsewhere it is kept.
A file of references may also be ``{"<object_id>": "<caption>", …}``.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spa3d.contracts.dataset import CAPTION, POINT, Conversation, Round
from spa3d.data.foreign_layouts import describe_file_key
from spa3d.data.keys import refuse_misspelled
from spa3d.errors import DataError
from spa3d.runtime.text_files import decode, read_bytes

KEYS = ("object_id", "conversation_type", "conversations")
"""Keys of an entry that are read."""
KINDS = (CAPTION, "detailed_description", "single_round", "multi_round")
"""PointLLM's conversation types; an entry without one is a caption."""

CAPTION_PROMPT = "Caption this 3D model in detail."
"""PointLLM's question for captions; asked where a reference comes without a question."""
_DECODER = json.JSONDecoder()
_OWN_LINE = re.compile(rf"\A{POINT}\s*(?:\n|\Z)|(?:\A|\n)[ \t]*{POINT}\Z")
_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonArray:
    """JSON array in a file, indexed once and then parsed entry by entry.

    Only the bytes and two offsets per entry stay in memory, much less than the parsed objects would need.

    Args:
        path: the file, UTF-8.
        visit: called once with number and value of each entry, during indexing.
        by_id: accept a JSON object, too: its keys are object ids, its values captions, turns or entries.

    Raises:
        DataError: the file is missing, not JSON, not an array, or an object of another project's layout.

    """

    def __init__(self, path: Path, visit: Callable[[int, Any], None], *, by_id: bool = False) -> None:
        self.path = path
        self._raw = read_bytes(path)
        self.digest = hashlib.sha256(self._raw).hexdigest()
        self._spans = array("q")
        text = decode(self._raw, path)
        seen = byte = 0
        self._by_id = by_id and text[_skip_space(text, 0) :][:1] == "{"
        for number, (start, end, value) in enumerate(_parse_entries(text, path, by_id=self._by_id)):
            first = byte + len(text[seen:start].encode())
            seen, byte = end, first + len(text[start:end].encode())
            self._spans.extend((first, byte))
            visit(number, value)

    def __len__(self) -> int:
        return len(self._spans) // 2

    def __getitem__(self, number: int) -> Any:
        start, end = self._spans[2 * number : 2 * number + 2]
        raw = self._raw[start:end]
        return _make_entry(*json.loads(b"{" + raw + b"}").popitem()) if self._by_id else json.loads(raw)


def object_of(entry: Any, where: str) -> str:
    """Read the ``object_id`` of an entry.

    Args:
        entry: any JSON value.
        where: file and number of the entry, for messages.

    Raises:
        DataError: the entry is not an object, or its ``object_id`` is not a printable text.

    """
    if not isinstance(entry, dict):
        raise DataError(f"{where}: {_json_type(entry)} where an object with object_id and conversations is expected.")
    object_id = entry.get("object_id")
    if not isinstance(object_id, str) or not object_id or not object_id.isprintable():
        raise DataError(
            f"{where}: object_id is {'missing' if object_id is None else repr(object_id)}; it names the cloud file."
        )
    return object_id


def conversation(entry: dict[str, Any], where: str, *, allow_text_only: bool = False) -> Conversation:
    """Parse the conversation of an entry; ``<point>`` as the first or last line is removed.

    Args:
        entry: an entry with an object_id (see `object_of`).
        where: file, number and record of the entry, for messages.
        allow_text_only: accept an entry without ``<point>`` as a conversation without a cloud.

    Raises:
        DataError: missing keys, an unknown type, turns that do not alternate (human, gpt, ...), no ``<point>`` in the
            first question, a ``<point>`` elsewhere, or an empty question or answer.

    """
    refuse_misspelled(entry, KEYS, where)
    kind = entry.get("conversation_type", CAPTION)
    if kind not in KINDS:
        raise DataError(f"{where}: conversation_type {kind!r}; it is one of {', '.join(KINDS)}.")
    turns = entry.get("conversations")
    if not isinstance(turns, list):
        raise DataError(f"{where}: conversations is {_json_type(turns)}; a list of turns is expected.")
    if not turns or len(turns) % 2:
        raise DataError(f"{where}: {len(turns)} turns; each human turn is followed by one of gpt.")
    texts = [_parse_turn(turn, number, where) for number, turn in enumerate(turns)]
    has_cloud = POINT in texts[0]
    if not has_cloud and not allow_text_only:
        raise DataError(f"{where}: no {POINT} in the first human turn; pass --dataset.allow_text_only to accept it.")
    marks = [text.count(POINT) for text in texts]
    texts[0] = _OWN_LINE.sub("", texts[0]).strip()
    for number, text in enumerate(texts):
        if marks[number] > (number == 0):
            raise DataError(f"{where}: {POINT} in turn {number}; it may occur once, in the first human turn.")
        if not text.replace(POINT, "").strip():
            raise DataError(f"{where}: empty {'answer' if number % 2 else 'question'} in turn {number}.")
    rounds = zip(texts[::2], texts[1::2], strict=True)
    return Conversation(kind, tuple(Round(question, answer) for question, answer in rounds), has_cloud)


def from_turns(turns: Sequence[Mapping[str, str]]) -> Conversation:
    """Make a conversation of PointLLM's turns, with their texts unchanged.

    Args:
        turns: ``{"from": "human" or "gpt", "value": text}`` in turn; a first one of gpt is dropped, as in PointLLM.

    Raises:
        DataError: the turns do not alternate, or the last question has no answer.

    """
    kept = turns[1:] if turns and turns[0].get("from") == "gpt" else turns
    wrong = next((i for i, turn in enumerate(kept) if turn.get("from") != ("human", "gpt")[i % 2]), len(kept))
    if not kept or len(kept) % 2 or wrong < len(kept):
        raise DataError(f"{len(turns)} turns from {[turn.get('from') for turn in turns][:8]}; human and gpt alternate")
    texts = [turn["value"] for turn in kept]
    rounds = tuple(Round(question, answer) for question, answer in zip(texts[::2], texts[1::2], strict=True))
    return Conversation("single_round" if len(rounds) == 1 else "multi_round", rounds, POINT in texts[0])


def _parse_turn(turn: Any, number: int, where: str) -> str:
    speaker = ("human", "gpt")[number % 2]
    if not isinstance(turn, dict) or not isinstance(turn.get("value"), str):
        raise DataError(f'{where}: turn {number} is not {{"from": "{speaker}", "value": text}}.')
    if turn.get("from") != speaker:
        raise DataError(f"{where}: turn {number} is from {turn.get('from')!r}, expected {speaker!r}; turns alternate.")
    if _SURROGATE.search(turn["value"]):
        raise DataError(
            f"{where}: turn {number} holds half of a surrogate pair, which is not valid text; save it as UTF-8."
        )
    return str(turn["value"]).strip()


def _parse_entries(text: str, path: Path, *, by_id: bool = False) -> Iterator[tuple[int, int, Any]]:
    """Parse the JSON array `text`, or object: start, end (in characters) and value of each entry."""
    opening, closing = "{}" if by_id else "[]"
    start = _skip_space(text, 0)
    if text[start : start + 1] != opening:
        raise DataError(f"{path}: a JSON array is expected, and this file starts with {text[start : start + 20]!r}.")
    start = _skip_space(text, start + 1)
    more = text[start : start + 1] != closing
    if by_id and not more:
        raise DataError(f"{path}: a JSON array is expected, and this file has an object without keys.")
    while more:
        try:
            value, end = _parse_member(text, start, path) if by_id else _DECODER.raw_decode(text, start)
        except RecursionError as error:
            raise DataError(f"{path}: nested too deeply at character {start}.") from error
        except ValueError as error:
            raise DataError(_describe_json_error(path, text, getattr(error, "pos", start), str(error))) from error
        yield start, end, value
        start = _skip_space(text, end)
        more = text[start : start + 1] == ","
        if not more and text[start : start + 1] != closing:
            raise DataError(_describe_json_error(path, text, start, f"',' or '{closing}' expected"))
        start = _skip_space(text, start + 1) if more else start
    if _skip_space(text, start + 1) != len(text):
        raise DataError(_describe_json_error(path, text, start + 1, "text after the array"))


def _parse_member(text: str, start: int, path: Path) -> tuple[Any, int]:
    """Parse a key and its value; raises `DataError` if the key is one of another project's layout."""
    key, end = _DECODER.raw_decode(text, start)
    if not isinstance(key, str):
        raise json.JSONDecodeError("a key in quotes expected", text, start)
    if what := describe_file_key(key):
        raise DataError(f"{path}: no array of entries; this looks like {what}.")
    colon = _skip_space(text, end)
    if text[colon : colon + 1] != ":":
        raise json.JSONDecodeError("a colon after the key expected", text, colon)
    value, end = _DECODER.raw_decode(text, _skip_space(text, colon + 1))
    return _make_entry(key, value), end


def _make_entry(object_id: str, value: Any) -> Any:
    """Make an entry of an object's caption, turns or keys."""
    if isinstance(value, str):
        value = [{"from": "human", "value": f"{POINT}\n{CAPTION_PROMPT}"}, {"from": "gpt", "value": value}]
    if isinstance(value, list):
        value = {"conversations": value}
    return {"object_id": object_id, **value} if isinstance(value, dict) else value


def _describe_json_error(path: Path, text: str, index: int, error: str) -> str:
    line, column = text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
    truncation = "; the file ends there, copy it again" if index >= len(text) else ""
    return f"{path}: not valid JSON at line {line}, column {column}: {error.split(':')[0]}{truncation}."


def _skip_space(text: str, index: int) -> int:
    match = _SPACE.match(text, index)
    return match.end() if match else index


def _json_type(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "missing or null"}
    return names.get(type(value), "a number")
