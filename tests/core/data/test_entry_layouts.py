import re
from typing import Any

import pytest

from spa3d.data.conversations import conversation
from spa3d.data.entry_layouts import standardize
from spa3d.errors import DataError

SHAREGPT = [{"from": "human", "value": "<point_cloud>Detect walls."}, {"from": "gpt", "value": "wall_0=Wall(0,1)"}]
ROLES = [{"role": "user", "content": "<point_cloud>\nWhat?"}, {"role": "assistant", "content": "A mug."}]
LONG = [*ROLES, {"role": "user", "content": "Color?"}, {"role": "assistant", "content": "Red."}]


def test_entries_of_pointllm_stay_as_they_are() -> None:
    turns = [{"from": "human", "value": "<point>\nWhat?"}, {"from": "gpt", "value": "A mug."}]
    for entry in ({"object_id": "a", "conversations": turns}, {"object_id": "a"}, {"conversations": [3]}, ["a"], 3):
        same, file = standardize(entry, "here")
        assert same is entry
        assert file is None


@pytest.mark.parametrize(
    ("entry", "kind", "question", "file"),
    [
        (
            {"conversations": SHAREGPT, "point_clouds": ["pcd/a.ply"]},
            "single_round",
            "<point>Detect walls.",
            "pcd/a.ply",
        ),
        ({"messages": ROLES, "point_clouds": ["a.ply"]}, "single_round", "What?", "a.ply"),
        ({"messages": LONG, "point_clouds": "a.ply"}, "multi_round", "What?", "a.ply"),
        ({"conversations": ROLES, "point": "./a.npy"}, "simple_description", "What?", "a.npy"),
        ({"conversations": LONG, "point_cloud": "a.npy"}, "multi_round", "What?", "a.npy"),
        ({"object_id": "b", "messages": ROLES}, "single_round", "What?", None),
        ({"object_id": "b", "conversations": ROLES}, "simple_description", "What?", None),
        ({"object_id": "b", "conversations": SHAREGPT}, "simple_description", "<point>Detect walls.", None),
        (
            {"conversation_type": "detailed_description", "messages": ROLES, "point_clouds": ["a.ply"]},
            "detailed_description",
            "What?",
            "a.ply",
        ),
    ],
)
def test_entries_of_other_projects(entry: dict[str, Any], kind: str, question: str, file: str | None) -> None:
    standard, named = standardize(entry, "here")
    assert named == file
    assert standard["object_id"] == (file or "b")
    parsed = conversation(standard, "here")
    assert (parsed.kind, parsed.rounds[0].question, parsed.has_cloud) == (kind, question, True)


def test_an_answer_keeps_its_thoughts_and_marks() -> None:
    answer = "<think>\nFour legs, so no mug.\n</think>\n\nA chair in a <point_cloud>."
    entry = {"messages": [ROLES[0], {"role": "assistant", "content": answer}], "point_clouds": ["a.ply"]}
    assert conversation(standardize(entry, "here")[0], "here").rounds[0].answer == answer


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"messages": ROLES, "conversations": ROLES, "object_id": "a"}, "both conversations and messages"),
        ({"messages": ROLES, "point_clouds": ["a.ply", "b.ply"]}, "2 clouds in point_clouds; a record has one"),
        ({"messages": ROLES, "point_clouds": ["a.ply"], "point": "a.ply"}, "both point_clouds and point"),
        ({"messages": ROLES, "point_clouds": [3]}, "point_clouds is [3]; the name of a file is expected"),
        ({"messages": ROLES, "point_clouds": {"a": "b"}}, "point_clouds is {'a': 'b'}"),
        ({"messages": ROLES, "point_clouds": ["a\0.ply"]}, "point_clouds is ['a\\x00.ply']; the name"),
        ({"messages": ROLES, "point_clouds": ["../a.ply"]}, "point_clouds '../a.ply' leads out of the data set"),
        ({"messages": ROLES, "point_clouds": ["/etc/passwd"]}, "point_clouds '/etc/passwd' leads out of the data set"),
        ({"messages": ROLES, "images": ["a.png"], "point_clouds": ["a.ply"]}, "images are given; only clouds are read"),
        ({"messages": ROLES, "system": "Be brief.", "object_id": "a"}, "its system text is not read"),
        ({"messages": [{"role": "system", "content": "Be brief."}, *ROLES]}, "its system turn is not read"),
    ],
)
def test_ambiguous_entries_are_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"here: {message}")):
        standardize(entry, "here")


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ([ROLES[0], {"role": "tool", "content": "x"}], "turn 1 is from 'tool', expected 'gpt'"),
        ([{"role": "user", "content": [{"type": "text"}]}, ROLES[1]], "turn 0 is not"),
        ([3, ROLES[1]], "turn 0 is not"),
        ([{"role": ["user"], "content": "<point>?"}, ROLES[1]], "turn 0 is from ['user']"),
        ("text", "conversations is missing"),
    ],
)
def test_turns_that_cannot_be_read_are_refused(turns: Any, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        conversation(standardize({"messages": turns, "object_id": "a"}, "here")[0], "here")
