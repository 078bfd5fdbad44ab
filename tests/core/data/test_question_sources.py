"""Files of captions and of questions with answers, in the layouts of other projects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spa3d.data.question_sources import AnsweredQuestion, SourceRecord, merge_records, read_source
from spa3d.errors import DataError

SCANQA = {
    "answers": ["dark brown", "brown", "brown"],
    "object_ids": [4, 5],
    "object_names": ["chair", "chair"],
    "question": "What color is the  chair?",
    "question_id": "val-scene0011-0",
    "scene_id": "scene0011_00",
}
SQA3D = {"scene_id": "scene0050_00", "situation": "I am standing.", "question": "Which way?", "question_id": 22}
POINTLLM = {
    "object_id": "abc",
    "conversation_type": "simple_description",
    "conversations": [{"from": "human", "value": "<point>\nWhat?"}, {"from": "gpt", "value": "A red\nchair."}],
}


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_scanqa(tmp_path: Path) -> None:
    source = read_source(write(tmp_path / "a.json", [SCANQA, SCANQA | {"question_id": "2", "answers": ["left"]}]))
    (record,) = source.records
    assert (record.id, record.level, record.names) == ("scene0011_00", "scene", ("chair",))
    first = AnsweredQuestion("val-scene0011-0", "What color is the chair?", ("dark brown", "brown"))
    assert record.questions == (first, AnsweredQuestion("2", first.question, ("left",)))


def test_sqa3d_reads_the_answers_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path / "v1_questions_test.json", {"questions": [SQA3D, SQA3D | {"question_id": 23}]})
    with pytest.raises(DataError, match=r"answers are expected in v1_sqa_annotations_test\.json beside it"):
        read_source(path)
    answers = [{"question_id": 22, "answers": [{"answer": "left"}, {"answer": "left"}]}]
    beside = write(tmp_path / "v1_sqa_annotations_test.json", {"annotations": answers})
    source = read_source(path)
    known = AnsweredQuestion("22", "I am standing. Which way?", ("left",))
    assert source.records == (SourceRecord("scene0050_00", "scene", questions=(known,)),)
    assert source.notes == (
        f"{path}: 1 entries not used, the first is number 2: the file of annotations has no answer to it",
    )
    with pytest.raises(DataError, match="these are SQA3D's answers"):
        read_source(beside)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", [POINTLLM]),
        ("a.jsonl", json.dumps(POINTLLM)),
        ("a.jsonl", '{"id": "abc", "caption": "A red chair."}'),
        ("a.jsonl", '{"uid": "abc", "captions": ["A red chair."]}\n{"uid": "b"}'),
        ("a.json", {"abc": "A red chair."}),
        ("a.json", {"abc": ["A red chair."]}),
        ("a.csv", 'abc,"A red chair."\n'),
        ("a.csv", "abc,A red chair.\n"),
    ],
)
def test_captions(tmp_path: Path, name: str, content: Any) -> None:
    records = read_source(write(tmp_path / name, content)).records
    assert records == (SourceRecord("abc", "object", captions=("A red chair.",)),)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([{"question_id": 0, "point": "a.npy", "text": "How many?"}], "looks like ShapeLLM's questions or answers"),
        ([{"object_id": "a", "main_color": "red"}], "the keys 'object_id', 'main_color'; objects with an id and"),
        ([{"question": "What?"}], "looks like questions without answers"),
        ([{"caption": "A chair."}], "looks like captions without an id"),
        ([], "it has no entries"),
        ([3], "its first entry is '3'"),
        ("airplane\nchair\n", "neither JSON nor JSON lines nor CSV; it begins with 'airplane"),
        ("[1, 2", "this is no JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"id": "a", "caption": "x"}\n{"id"', "line 2: this is no JSON"),
        ([SCANQA | {"answers": []}], "1 entries not used, the first is number 1: it has no answer"),
        ([SCANQA | {"question": None}], "it has no question"),
        ([POINTLLM | {"conversation_type": "multi_round"}], "is not simple_description"),
        ([{"id": "", "caption": "x"}], "it has no id"),
        ({"a": 3}, "it has no caption"),
    ],
)
def test_unknown_layouts_are_refused_in_words(tmp_path: Path, content: Any, why: str) -> None:
    with pytest.raises(DataError) as caught:
        read_source(write(tmp_path / "a.json", content))
    assert why in str(caught.value)


def test_records_of_one_id_are_joined() -> None:
    known = AnsweredQuestion("q", "Where?", ("left",))
    merged = merge_records(
        [
            SourceRecord("a", "object", captions=("one",)),
            SourceRecord("b", "object"),
            SourceRecord("a", "scene", captions=("one", "two"), questions=(known,)),
        ]
    )
    assert merged == [SourceRecord("a", "scene", ("one", "two"), (), (known,)), SourceRecord("b", "object")]
