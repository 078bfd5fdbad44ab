"""Entries of ShapeLLM, SpatialLM, LLaMA-Factory and ms-swift in the keys of PointLLM.

===================  =========================================================================================
ShapeLLM             ``{"point": FILE, "conversations": [{"from": "human", "value": …}, …]}``, mark ``<point>``
SpatialLM            ``{"point_clouds": [FILE], "conversations": […]}``, mark ``<point_cloud>``
LLaMA-Factory        ``{"messages": [{"role": "user", "content": …}, …], "point_clouds": [FILE]}``
===================  =========================================================================================

A file is named relative to the folder of the data set, and is the id of an entry without ``object_id``.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from spa3d.contracts.dataset import CAPTION, POINT
from spa3d.errors import DataError

MARKS = ("<point_cloud>", "<pointcloud>")
"""Other marks of the cloud."""
_FILES = ("point_clouds", "point_cloud", "point")
_IMAGES = ("images", "image", "videos", "video")
_SPEAKERS = {"human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt", "model": "gpt"}


def standardize(entry: Any, where: str) -> tuple[Any, str | None]:
    """Rewrite an entry in PointLLM's keys, and find the file that it names.

    An entry in PointLLM's own keys is returned as it is.

    Args:
        entry: any JSON value.
        where: file and number of the entry, for messages.

    Returns:
        The entry, and its cloud's file relative to the data set; None where ``object_id`` names the cloud.

    Raises:
        DataError: the entry has several clouds, images or a system text, or its file lies outside of the data set.

    """
    if not isinstance(entry, dict) or _is_standard(entry):
        return entry, None
    if "conversations" in entry and "messages" in entry:
        raise DataError(f"{where}: both conversations and messages; leave one out.")
    refused = next((key for key in (*_IMAGES, "system") if entry.get(key)), None)
    if refused == "system":
        raise DataError(f"{where}: its system text is not read; leave it out and pass it with --llm.system.")
    if refused:
        raise DataError(f"{where}: {refused} are given; only clouds are read.")
    turns = entry.get("messages", entry.get("conversations"))
    file = _file_of(entry, where)
    rest = {key: value for key, value in entry.items() if key not in ("messages", *_FILES)}
    if isinstance(turns, list):
        rest["conversations"] = [_standardize_turn(turn, where) for turn in turns]
        if "messages" in entry or "point_clouds" in entry:  # data of tasks; others without a type are captions
            rest.setdefault("conversation_type", "single_round" if len(turns) <= 2 else "multi_round")
        elif file is not None:
            rest.setdefault("conversation_type", CAPTION if len(turns) <= 2 else "multi_round")
    if file is not None:
        rest.setdefault("object_id", file)
    return rest, file


def _is_standard(entry: dict[str, Any]) -> bool:
    """Whether an entry has PointLLM's keys, speakers and mark."""
    if "messages" in entry or any(key in entry for key in _FILES):
        return False
    turns = entry.get("conversations")
    first = turns[0] if isinstance(turns, list) and turns else None
    if not isinstance(first, dict) or not ("role" in first or first.get("from") in _SPEAKERS):
        return True
    value = first.get("value")
    return first.get("from") == "human" and not (isinstance(value, str) and any(mark in value for mark in MARKS))


def _standardize_turn(turn: Any, where: str) -> Any:
    if not isinstance(turn, dict):
        return turn
    speaker, text = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
    if speaker == "system":
        raise DataError(f"{where}: its system turn is not read; leave it out and pass it with --llm.system.")
    speaker = _SPEAKERS.get(speaker, speaker) if isinstance(speaker, str) else speaker
    if speaker == "human" and isinstance(text, str):
        for mark in MARKS:
            text = text.replace(mark, POINT)
    return {"from": speaker, "value": text}


def _file_of(entry: dict[str, Any], where: str) -> str | None:
    """The file that an entry names, relative to the data set; None if it names none."""
    files = {key: entry[key] for key in _FILES if entry.get(key)}
    if not files:
        return None
    (key, value), *others = files.items()
    if others:
        raise DataError(f"{where}: both {key} and {others[0][0]}; leave one out.")
    if isinstance(value, list) and len(value) > 1:
        raise DataError(f"{where}: {len(value)} clouds in {key}; a record has one, so make a record of each.")
    file = value[0] if isinstance(value, list) else value
    if not isinstance(file, str) or not file.isprintable():
        raise DataError(f"{where}: {key} is {value!r:.80}; the name of a file is expected.")
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{where}: {key} {file!r} leads out of the data set; name the file relative to its folder.")
    return str(path)
