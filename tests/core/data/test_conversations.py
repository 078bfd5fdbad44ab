import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa3d.contracts.dataset import Conversation, Round
from spa3d.data.conversations import JsonArray, conversation, from_turns, object_of
from spa3d.errors import DataError


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"from": ("human", "gpt")[i % 2], "value": text} for i, text in enumerate(texts)]


def entry(*texts: str, **more: Any) -> dict[str, Any]:
    return {"object_id": "lamp", "conversations": turns(*texts), **more}


def ignore(number: int, value: Any) -> None: ...


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(values=st.lists(VALUES, max_size=6), indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_json_array_entries(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], indent: int | None, ascii_only: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "array.json"
    text = json.dumps(values, indent=indent, ensure_ascii=ascii_only)
    path.write_bytes(text.encode("utf-8"))
    seen: list[Any] = []
    array = JsonArray(path, lambda number, value: seen.append((number, value)))
    assert seen == list(enumerate(values))
    assert [array[i] for i in range(len(array))] == values


def test_json_array_skips_byte_order_mark_and_space(tmp_path: Path) -> None:
    path = tmp_path / "array.json"
    path.write_bytes(b'\xef\xbb\xbf \r\n[ 1 ,\n\t{"\xc3\xa4": 2} ] \n')
    array = JsonArray(path, ignore)
    assert [array[0], array[1]] == [1, {"ä": 2}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a JSON array is expected"),
        (b'{"object_id": 1}', "a JSON array is expected, and this file starts with '{\"object_id\": 1}'"),
        (b'[{"a": 1}, {"b": ', "line 1, column 18: Expecting value; the file ends there, copy it again"),
        (b'[{"a": 1}\n {"b": 2}]', "line 2, column 2: ',' or ']' expected"),
        (b'[{"a": 1},\n]', "line 2, column 1: Expecting value"),
        (b"[1] 2", "text after the array"),
        (b"[1", "the file ends there"),
        (b'["\xff"]', "not UTF-8 at byte 2"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_json_array_error_names_file_and_location(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "brief_train.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        JsonArray(path, ignore)
    assert str(path) in str(caught.value)


@given(values=st.dictionaries(st.text(), st.text() | st.lists(st.integers()), max_size=5, min_size=1))
def test_json_array_by_id(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "object.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    seen: list[Any] = []
    array = JsonArray(path, lambda number, value: seen.append(value), by_id=True)
    assert [entry["object_id"] for entry in seen] == list(values)
    assert [array[i] for i in range(len(array))] == seen


def test_json_array_by_id_makes_entries_of_captions_turns_and_entries(tmp_path: Path) -> None:
    path = tmp_path / "object.json"
    asked = turns("<point>\nWhat?", "A mug.")
    values = {"a": "A lamp.", "b": asked, "c": {"conversations": asked, "conversation_type": "single_round"}, "d": 3}
    path.write_text(json.dumps(values), encoding="utf-8")
    array = JsonArray(path, ignore, by_id=True)
    assert conversation(array[0], "here").rounds == (Round("Caption this 3D model in detail.", "A lamp."),)
    assert [conversation(array[i], "here").kind for i in (1, 2)] == ["simple_description", "single_round"]
    assert array[3] == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", "an object without keys"),
        (b'{"info": {}, "images": []}', "this looks like COCO's, VQA's or SQA3D's annotations"),
        (b'{"object_id": "a", "conversations": []}\n{"object_id": "b"}', "one entry, or JSON lines"),
        (b'{"a": "b"', "line 1, column 10: ',' or '}' expected; the file ends there"),
        (b'{"a" "b"}', "line 1, column 6: a colon after the key expected"),
        (b"{3: 4}", "a key in quotes expected"),
        (b'{"a": }', "Expecting value"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"3", "a JSON array is expected"),
    ],
)
def test_json_array_by_id_errors(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "val_GT.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)):
        JsonArray(path, ignore, by_id=True)


def test_json_array_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(DataError, match=re.escape(str(path))):
            JsonArray(path, ignore)


def test_conversation_removes_the_mark_and_pairs_the_turns() -> None:
    parsed = conversation(
        entry("<point>\nWhat is this?", "A lamp.", "Its color?", "Red.", conversation_type="multi_round"), "here"
    )
    assert parsed == Conversation("multi_round", (Round("What is this?", "A lamp."), Round("Its color?", "Red.")))
    behind = conversation(entry("What is this?\n<point>", " A lamp.\n"), "here")
    assert behind == Conversation("simple_description", (Round("What is this?", "A lamp."),))


def test_conversation_keeps_a_mark_inside_the_text() -> None:
    for text in ("Look at <point> and say its color.", "<point> is what?", "What is <point>", "One.\n<point>\nTwo."):
        parsed = conversation(entry(text, "A lamp."), "here")
        assert parsed.rounds[0].question == text
        assert parsed.has_cloud
    with pytest.raises(DataError, match="here: empty question in turn 0"):
        conversation(entry(" <point> ", "A lamp."), "here")


def test_conversation_text_only() -> None:
    assert not conversation(entry("Hello", "Hi"), "here", allow_text_only=True).has_cloud
    with pytest.raises(DataError, match=r"here: no <point> in the first human turn; pass --dataset.allow_text_only"):
        conversation(entry("Hello", "Hi"), "here")


def test_conversation_preserves_markup() -> None:
    nasty = "[/red]<script>alert(1)</script>| & {x} \\n %s </s> \N{GRINNING FACE}"
    assert conversation(entry("<point>\nWhat?", nasty), "here").rounds[0].answer == nasty


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (entry(), "0 turns"),
        (entry("<point>\nWhat?"), "1 turns; each human turn is followed by one of gpt"),
        (entry("<point>\nWhat?", "  \n"), "empty answer in turn 1"),
        (entry("<point>\n", "A lamp."), "empty question in turn 0"),
        (entry("<point>\nWhat?", "A lamp.", "<point> again?", "Yes."), "<point> in turn 2"),
        (entry("<point>\n<point>\nWhat?", "A lamp."), "<point> in turn 0"),
        (entry("<point>\nWhat?", "A \ud800."), "turn 1 holds half of a surrogate pair"),
        (entry("<point>\nWhat?", "A lamp.", conversation_type="chat"), "conversation_type 'chat'; it is one of"),
        (entry("<point>\nWhat?", "A lamp.", conversation_type=["x"]), "conversation_type ['x']"),
        ({"object_id": "lamp"}, "conversations is missing or null"),
        ({"object_id": "lamp", "conversations": {}}, "conversations is an object"),
        ({"object_id": "lamp", "conversations": ["hi", "ho"]}, "turn 0 is not"),
        ({"object_id": "lamp", "conversations": [{"from": "human"}, {"from": "gpt"}]}, "turn 0 is not"),
        ({"object_id": "lamp", "conversations": [{"value": "<point>"}] * 2}, "turn 0 is from None, expected 'human'"),
        ({"object_id": "lamp", "conversations": turns("<point>?", "a")[::-1]}, "turn 0 is from 'gpt'"),
        ({"object_id": "lamp", "conversations": [turns("<point>?")[0]] * 2}, "turn 1 is from 'human', expected 'gpt'"),
    ],
)
def test_conversation_errors(error: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"here: {message}")):
        conversation(error, "here")


@pytest.mark.parametrize("bad", [None, 3, [], "lamp", {}, {"object_id": 7}, {"object_id": ""}, {"object_id": "a\nb"}])
def test_object_of_rejects_invalid_entries(bad: Any) -> None:
    with pytest.raises(DataError, match="here: "):
        object_of(bad, "here")


def test_from_turns_keeps_texts_and_drops_a_first_answer() -> None:
    pairs = [("gpt", "Welcome."), ("human", "<point>\nWhat? "), ("gpt", " A mug."), ("human", ""), ("gpt", "Red.")]
    whole = from_turns([{"from": speaker, "value": text} for speaker, text in pairs])
    assert whole == Conversation("multi_round", (Round("<point>\nWhat? ", " A mug."), Round("", "Red.")))
    assert not from_turns([{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]).has_cloud


@pytest.mark.parametrize("speakers", [[], ["human"], ["gpt"], ["human", "human"], ["human", "gpt", "gpt", "human"]])
def test_from_turns_refuses_turns_that_do_not_alternate(speakers: list[str]) -> None:
    with pytest.raises(DataError, match="human and gpt alternate"):
        from_turns([{"from": speaker, "value": "text"} for speaker in speakers])
