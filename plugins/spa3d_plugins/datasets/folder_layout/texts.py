"""Conversations of a row: captions, a question with its answer, and turns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from spa3d.contracts.dataset import CAPTION, POINT, Conversation, Round
from spa3d.data.conversations import conversation
from spa3d.data.entry_layouts import standardize
from spa3d.errors import DataError
from spa3d_plugins.datasets.folder_layout.columns import CAPTIONS
from spa3d_plugins.datasets.folder_layout.tables import LONGEST_TEXT, Row

CAPTION_QUESTION = "What is this?"
"""The question whose answer is a caption."""
_CLOUD_PARTS = ("point", "points", "point_cloud", "pointcloud")
"""Types of a part of a turn that stands for the cloud."""


def make_caption(text: str) -> Conversation:
    """Make the caption conversation with the answer `text`."""
    return Conversation(CAPTION, (Round(CAPTION_QUESTION, text),))


def read_conversations(row: Row) -> list[Conversation]:
    """Read all conversations of a row; a row without texts has none.

    Raises:
        DataError: a text is empty, too long or no text, or turns do not alternate; the message names the row.

    """
    values, where = row.values, row.where
    result = [make_caption(_check_text(text, name, where)) for name in CAPTIONS for text in _list_texts(values, name)]
    if "question" in values or "answer" in values:
        question, answer = (_check_text(values.get(name, ""), name, where) for name in ("question", "answer"))
        turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
        result.append(_parse("conversations", turns, "single_round", where))
    for name in ("conversations", "messages"):
        if name in values:
            turns = _read_turns(values[name], name, where)
            kind = values.get("conversation_type", "single_round" if len(turns) <= 2 else "multi_round")
            result.append(_parse(name, turns, kind, where))
    return result


def _list_texts(values: Mapping[str, Any], name: str) -> Sequence[Any]:
    texts = values.get(name, ())
    return texts if isinstance(texts, list | tuple) else (texts,)


def _check_text(text: Any, name: str, where: str) -> str:
    if not isinstance(text, str):
        raise DataError(f"{where}: {name} is {json.dumps(text)[:60]}; a text is expected.")
    if not text.strip():
        raise DataError(f"{where}: {name} is empty.")
    if len(text) > LONGEST_TEXT:
        raise DataError(f"{where}: {name} has {len(text):,} characters; at most {LONGEST_TEXT:,}.")
    if text.encode("utf-8", "ignore").decode() != text:
        raise DataError(f"{where}: {name} holds half of a surrogate pair, which is not valid text; save it as UTF-8.")
    return text.strip()


def _read_turns(turns: Any, name: str, where: str) -> list[Any]:
    """The turns of a column, as JSON in the cell of a CSV; the parts of a turn become one text."""
    if isinstance(turns, str):
        try:
            turns = json.loads(turns)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: {name} is no JSON ({error}): {turns[:60]!r}") from error
    if not isinstance(turns, list):
        raise DataError(f"{where}: {name} is {json.dumps(turns)[:60]}; a list of turns is expected.")
    return [_join_parts(turn, f"{where}: turn {number}") for number, turn in enumerate(turns)]


def _join_parts(turn: Any, where: str) -> Any:
    """A turn whose content was a list of parts, with one text; other turns as they are."""
    parts = turn.get("content") if isinstance(turn, dict) else None
    if not isinstance(parts, list):
        return turn
    texts = list[str]()
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in _CLOUD_PARTS:
            texts.append(POINT)
        elif kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            raise DataError(f"{where}: a part of type {kind!r}; possible: text, {', '.join(_CLOUD_PARTS)}")
    return {**turn, "content": "\n".join(texts)}


def _parse(name: str, turns: list[Any], kind: Any, where: str) -> Conversation:
    """Parse turns as a conversation about the cloud of the row, with or without a mark."""
    entry, _ = standardize({name: turns, "conversation_type": kind}, where)
    for number, turn in enumerate(entry["conversations"]):
        text = turn.get("value") if isinstance(turn, dict) else None
        if isinstance(text, str):
            _check_text(text, f"turn {number}", where)
            if "<image>" in text:
                raise DataError(f"{where}: turn {number} has the mark <image>; the mark of the cloud is {POINT}.")
    return replace(conversation(entry, where, allow_text_only=True), has_cloud=True)
