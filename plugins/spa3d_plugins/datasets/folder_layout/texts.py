"""Conversations of a row: captions, a question with its answer, and turns of the two usual layouts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spa3d.contracts.dataset import CAPTION, POINT, Conversation, Round
from spa3d.data.conversations import conversation
from spa3d.errors import DataError
from spa3d_plugins.datasets.folder_layout.columns import CAPTIONS
from spa3d_plugins.datasets.folder_layout.tables import LONGEST_TEXT, Row

CAPTION_QUESTION = "What is this?"
"""The question whose answer is a caption."""
MARKS = ("<image>", "<point_cloud>", "<pointcloud>", "<pc>", "<3d>")
"""Marks of the input in the data of other projects; in a first question they stand for the cloud."""
_SPEAKERS = {"human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt", "model": "gpt"}
_CLOUD_PARTS = ("point", "points", "cloud", "point_cloud", "pointcloud", "pc", "3d")


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
        result.append(_parse(turns, "single_round", where))
    for name in ("conversations", "messages"):
        if name in values:
            turns = list(_read_turns(values[name], name, where))
            kind = values.get("conversation_type", "single_round" if len(turns) == 2 else "multi_round")
            result.append(_parse(turns, kind, where))
    return result


def foreign_marks(row: Row) -> list[str]:
    """Marks of other projects in the texts of a row."""
    text = str([row.values[name] for name in ("question", "conversations", "messages") if name in row.values])
    return [mark for mark in MARKS if mark in text]


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


def _read_turns(turns: Any, name: str, where: str) -> Iterator[dict[str, str]]:
    """The turns of `conversations` (from, value) or `messages` (role, content); a system text is left out."""
    if isinstance(turns, str):  # a cell of a CSV
        try:
            turns = json.loads(turns)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: {name} is no JSON ({error}): {turns[:60]!r}") from error
    if not isinstance(turns, list):
        raise DataError(f"{where}: {name} is {json.dumps(turns)[:60]}; a list of turns is expected.")
    for number, turn in enumerate(turns):
        if not isinstance(turn, dict):
            raise DataError(f"{where}: turn {number} is {json.dumps(turn)[:60]}, no object.")
        speaker = turn.get("from", turn.get("role"))
        if speaker == "system" and number == 0:
            continue
        if speaker not in _SPEAKERS:
            raise DataError(f"{where}: turn {number} is from {speaker!r}; possible: {', '.join(_SPEAKERS)}")
        text = _join_parts(turn.get("value", turn.get("content")), f"{where}: turn {number}")
        yield {"from": _SPEAKERS[speaker], "value": _check_text(text, f"turn {number}", where)}


def _join_parts(content: Any, where: str) -> Any:
    """The text of a turn whose content is a list of parts; other contents as they are."""
    if not isinstance(content, list):
        return content
    texts = list[str]()
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in _CLOUD_PARTS:
            texts.append(POINT)
        elif kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            raise DataError(f"{where}: a part of type {kind!r}; possible: text, {', '.join(_CLOUD_PARTS)}")
    return "\n".join(texts)


def _parse(turns: list[dict[str, str]], kind: Any, where: str) -> Conversation:
    """Parse turns as a conversation about the cloud of the row, with or without a mark."""
    if turns:
        first = turns[0]["value"]
        for mark in MARKS:
            first = first.replace(mark, POINT)
        turns = [{**turns[0], "value": first if POINT in first else f"{POINT}\n{first}"}, *turns[1:]]
    return conversation({"conversation_type": kind, "conversations": turns}, where)
