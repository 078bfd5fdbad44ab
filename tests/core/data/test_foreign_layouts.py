from typing import Any

import pytest

from spa3d.data.foreign_layouts import describe_entry, describe_file_key

TURNS = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A mug."}]


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"id": "1", "image": "a.png", "conversations": TURNS}, "LLaVA's conversations about images"),
        ({"messages": TURNS, "images": ["a.png"]}, "LLaVA's conversations about images"),
        (
            {"scene_id": "scene0000_00", "object_ids": [1], "question_id": "q", "question": "?", "answers": ["a"]},
            "ScanQA's or 3D-LLM's questions about scenes",
        ),
        ({"scene_id": "s", "situation": "I sit.", "question": "?", "question_id": 1}, "SQA3D's questions"),
        ({"scene_id": "s", "object_id": "4", "object_name": "chair", "description": "It is red."}, "ScanRefer's"),
        ({"question": "?", "answers": ["a"]}, "3D-LLM's questions"),
        ({"image_id": 3, "id": 4, "caption": "A mug."}, "COCO's captions"),
        ({"prompt": "?", "chosen": "a", "rejected": "b"}, "--pairs.path"),
        ({"instruction": "?", "input": "", "output": "a"}, "alpaca"),
        ({"query": "?", "response": "a"}, "ms-swift's"),
        ({"row_idx": 0, "row": {}}, "Hugging Face"),
        ({"id": "1", "conversations": TURNS}, "conversations that name no cloud"),
        ({"messages": TURNS}, "messages that name no cloud"),
    ],
)
def test_describe_entry_names_the_project(entry: dict[str, Any], name: str) -> None:
    assert name in describe_entry(entry)


@pytest.mark.parametrize("entry", [3, {}, {"object_id": "a", "conversations": TURNS}, {"object_id": "a"}])
def test_describe_entry_is_empty_for_what_is_read_or_unknown(entry: Any) -> None:
    assert describe_entry(entry) == ""


def test_describe_file_key() -> None:
    assert "COCO" in describe_file_key("annotations")
    assert "JSON lines" in describe_file_key("conversations")
    assert describe_file_key("6760e543e1d645d5aaacd3803bcae524") == ""
