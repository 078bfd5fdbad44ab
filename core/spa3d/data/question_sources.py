"""Files of captions, or of questions with answers, from which questions are built.

| layout | content |
|---|---|
| ScanQA, 3D-LLM, LL3DA and the like | objects with ``question``, ``answers`` or ``answer``, and ``scene_id`` or an id |
| SQA3D | ``{"questions": […]}``; its answers are in the file of annotations beside it |
| PointLLM | objects with ``object_id`` and ``conversations``; a ``simple_description`` is a caption |
| captions | objects with an id and ``caption``, ``text`` or ``description``; or one object, id → caption or captions |
| Cap3D | CSV of id and caption, without a head |

Objects are entries of a JSON array or JSON lines.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa3d.contracts.dataset import CAPTION, Fact, Record
from spa3d.errors import DataError
from spa3d.runtime.jsonl import read_values
from spa3d.runtime.text_files import read_text

OBJECT, SCENE = "object", "scene"
IDS = ("scene_id", "scan_id", "object_id", "source", "record", "uid", "model_id", "id", "image_id")
"""Keys that name the record, the first that is there."""
CAPTIONS = ("caption", "captions", "description", "text")
_SCENE = re.compile(r"scene\d{4}_\d\d")
_TELLING = {"question", "caption", "description", "conversations"}
_TEXT_ENTRY = "objects with an id and a question and answers, or with an id and a caption"


@dataclass(frozen=True)
class AnsweredQuestion:
    """A question about a record with its right answers; the first becomes an option."""

    id: str
    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class SourceRecord:
    """What is known about a record in words.

    Attributes:
        id: of the record.
        level: ``object`` or ``scene``.
        captions: descriptions of the whole record.
        facts: of a dataset's record.
        questions: with their answers.
        names: objects that are known to be there.

    """

    id: str
    level: str
    captions: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    questions: tuple[AnsweredQuestion, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceFile:
    """The records of a file, its layout in words, and notes about entries that are not used."""

    records: tuple[SourceRecord, ...]
    layout: str
    notes: tuple[str, ...] = ()


def describe_record(record: Record, level: str) -> SourceRecord:
    """Take the caption and the facts of a dataset's record."""
    captions = (record.caption,) if record.caption else ()
    return SourceRecord(record.id, level, captions=captions, facts=record.facts)


def merge_records(records: Iterable[SourceRecord]) -> list[SourceRecord]:
    """Merge the records of one id, in the order of their first appearance."""
    merged: dict[str, SourceRecord] = {}
    for record in records:
        known = merged.get(record.id, SourceRecord(record.id, record.level))
        merged[record.id] = SourceRecord(
            record.id,
            SCENE if SCENE in (known.level, record.level) else record.level,
            captions=tuple(dict.fromkeys((*known.captions, *record.captions))),
            facts=(*known.facts, *record.facts),
            questions=(*known.questions, *record.questions),
            names=tuple(dict.fromkeys((*known.names, *record.names))),
        )
    return list(merged.values())


def read_source(path: Path) -> SourceFile:
    """Read a file of captions, or of questions and answers.

    Raises:
        DataError: the file cannot be read, or its layout is none of those above; the message says what it looks like.

    """
    if path.suffix.lower() == ".csv":
        return _collect(path, enumerate(_read_csv(path), start=1), "Cap3D's captions", _read_caption)
    content = _read_json(path)
    if isinstance(content, dict) and isinstance(content.get("questions"), list):
        answers = _read_sqa3d_answers(path)
        entries = enumerate(content["questions"], start=1)
        return _collect(path, entries, "SQA3D's questions", lambda entry: _read_sqa3d(entry, answers))
    if isinstance(content, dict) and isinstance(content.get("annotations"), list):
        raise DataError(f"{path}: these are SQA3D's answers; name the file of its questions, which lies beside it")
    if isinstance(content, dict):
        entries = enumerate(({"id": name, "captions": value} for name, value in content.items()), start=1)
        return _collect(path, entries, "captions by id", _read_caption)
    entries = enumerate(content, start=1)
    layout, read = _recognize(path, content[0] if content else None)
    return _collect(path, entries, layout, read)


Reader = Callable[[Any], SourceRecord]


def _recognize(path: Path, entry: Any) -> tuple[str, Reader]:
    """Recognize the layout of a list of entries by its first one."""
    if entry is None:
        raise DataError(f"{path}: it has no entries; {_TEXT_ENTRY} are expected")
    if not isinstance(entry, dict):
        raise DataError(f"{path}: its first entry is {str(entry)[:60]!r}; {_TEXT_ENTRY} are expected")
    if "conversations" in entry:
        return "PointLLM's conversations", _read_conversation
    if "question" in entry and ("answers" in entry or "answer" in entry):
        return "questions and answers", _read_answered
    if any(key in entry for key in IDS) and any(key in entry for key in CAPTIONS) and "point" not in entry:
        return "captions", _read_caption
    keys = ", ".join(map(repr, entry))
    looks = ""
    if "question" in entry:
        looks = "; it looks like questions without answers"
    elif "point" in entry and "text" in entry:
        looks = "; it looks like ShapeLLM's questions or answers, which lie in two files: join them first"
    elif any(key in entry for key in CAPTIONS):
        looks = f"; it looks like captions without an id ({', '.join(IDS[:4])}, …)"
    raise DataError(f"{path}: its entries have the keys {keys}{looks}; {_TEXT_ENTRY} are expected")


def _collect(path: Path, entries: Iterable[tuple[int, Any]], layout: str, read: Reader) -> SourceFile:
    """Read the entries; those that are no use are counted by reason."""
    records, reasons, first = list[SourceRecord](), Counter[str](), dict[str, int]()
    for number, entry in entries:
        try:
            records.append(read(entry))
        except DataError as error:
            reasons[str(error)] += 1
            first.setdefault(str(error), number)
    notes = tuple(
        f"{path}: {count} entries not used, the first is number {first[why]}: {why}" for why, count in reasons.items()
    )
    if not records:
        raise DataError("\n".join(notes) or f"{path}: it has no entries; {_TEXT_ENTRY} are expected")
    return SourceFile(tuple(merge_records(records)), layout, notes)


def _read_json(path: Path) -> Any:
    """Read a JSON array or object; other text is read as JSON lines."""
    text = read_text(path)
    if not text.lstrip().startswith(("[", "{")):
        raise DataError(f"{path}: neither JSON nor JSON lines nor CSV; it begins with {text[:40]!r}")
    try:
        content = json.loads(text)
        return (
            [content] if isinstance(content, dict) and _TELLING & content.keys() else content
        )  # one line of JSON lines
    except RecursionError as error:
        raise DataError(f"{path}: its JSON is nested too deeply") from error
    except ValueError as error:
        if text.lstrip().startswith("["):
            raise DataError(f"{path}: this is no JSON ({error})") from error
        return [value for _, value in read_values(path)]


def _read_csv(path: Path) -> Iterator[dict[str, str]]:
    try:
        for row in csv.reader(io.StringIO(read_text(path), newline="")):
            if row:
                yield {"id": row[0], "caption": ",".join(row[1:])}
    except csv.Error as error:
        raise DataError(f"{path}: this is no CSV ({error})") from error


def _read_caption(entry: Any) -> SourceRecord:
    name = _read_id(entry)
    value: Any = next((entry[key] for key in CAPTIONS if key in entry), None)
    captions = tuple(_clean(each) for each in (value if isinstance(value, list) else [value]) if _is_text(each))
    if not captions:
        raise DataError("it has no caption")
    return SourceRecord(name, _level(entry, name), captions=captions)


def _read_conversation(entry: Any) -> SourceRecord:
    name, turns = _read_id(entry), entry.get("conversations")
    if entry.get("conversation_type", CAPTION) != CAPTION:
        raise DataError("its conversation_type is not simple_description")
    if not isinstance(turns, list) or len(turns) < 2 or not isinstance(turns[1], dict):
        raise DataError("its conversations are not a question and an answer")
    if not _is_text(turns[1].get("value")):
        raise DataError("it has no caption")
    return SourceRecord(name, _level(entry, name), captions=(_clean(turns[1]["value"]),))


def _read_answered(entry: Any) -> SourceRecord:
    name = _read_id(entry)
    answers = entry.get("answers", entry.get("answer"))
    if not _is_text(entry.get("question")):
        raise DataError("it has no question")
    objects = entry.get("object_names")
    return SourceRecord(
        name,
        _level(entry, name),
        questions=(_make_answered(entry, entry["question"], answers, name),),
        names=tuple(filter(_is_text, objects)) if isinstance(objects, list) else (),
    )


def _read_sqa3d(entry: Any, answers: Mapping[str, Any]) -> SourceRecord:
    name = _read_id(entry)
    if not _is_text(entry.get("question")):
        raise DataError("it has no question")
    situation = _clean(entry["situation"]) + " " if _is_text(entry.get("situation")) else ""
    known = answers.get(str(entry.get("question_id")))
    if known is None:
        raise DataError("the file of annotations has no answer to it")
    return SourceRecord(name, SCENE, questions=(_make_answered(entry, situation + entry["question"], known, name),))


def _read_sqa3d_answers(path: Path) -> dict[str, Any]:
    """Read the answers of SQA3D by question, from the file beside that of the questions."""
    beside = path.with_name(path.name.replace("questions", "sqa_annotations"))
    if beside == path or not beside.is_file():
        raise DataError(f"{path}: SQA3D's questions; their answers are expected in {beside.name} beside it")
    content = _read_json(beside)
    entries = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise DataError(f"{beside}: SQA3D's file of answers is expected, with a list 'annotations'")
    return {str(entry["question_id"]): entry.get("answers") for entry in entries if "question_id" in entry}


def _make_answered(entry: Mapping[str, Any], question: str, answers: Any, name: str) -> AnsweredQuestion:
    listed = answers if isinstance(answers, list) else [answers]
    texts = [each.get("answer") if isinstance(each, dict) else each for each in listed]
    kept = tuple(dict.fromkeys(_clean(str(text)) for text in texts if _is_text(text)))
    if not kept:
        raise DataError("it has no answer")
    own = entry.get("question_id", entry.get("qid", ""))
    return AnsweredQuestion(f"{own}" if own != "" else name, _clean(question), kept)


def _read_id(entry: Any) -> str:
    if not isinstance(entry, dict):
        raise DataError("it is no object")
    name = next((entry[key] for key in IDS if key in entry), None)
    if not isinstance(name, str | int) or not str(name).strip():
        raise DataError(f"it has no id ({', '.join(IDS[:4])}, …)")
    return str(name)


def _level(entry: Mapping[str, Any], name: str) -> str:
    return SCENE if "scene_id" in entry or "scan_id" in entry or _SCENE.fullmatch(name) else OBJECT


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _clean(text: str) -> str:
    return " ".join(text.split())
