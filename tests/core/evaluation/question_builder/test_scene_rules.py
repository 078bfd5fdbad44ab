"""Statements about places in a scene's caption."""

from __future__ import annotations

from spa3d.evaluation.question_builder.scene_rules import find_scene_statements, list_other_places

CAPTION = "The sofa is to the left of the door. Two mirrors are over the sink, and there is a mat beside a toilet."


def test_things_at_places() -> None:
    pairs = [(each.question, each.answer) for each in find_scene_statements(CAPTION, "grounding")]
    assert pairs == [
        ("What is to the left of the door?", "sofa"),
        ("What are above the sink?", "mirrors"),
        ("What is next to the toilet?", "mat"),
    ]


def test_places_of_things_and_their_opposites() -> None:
    first, *_ = find_scene_statements(CAPTION, "relation")
    assert (first.question, first.answer) == ("Where is the sofa, seen from the door?", "to the left of")
    assert "left of the door" in first.evidence
    others = list_other_places(first)
    assert "to the right of" in [each.answer for each in others]
    assert "to the left of" not in [each.answer for each in others]
    assert "right of the door" in next(each for each in others if each.answer == "to the right of").evidence
    assert not [*find_scene_statements(CAPTION, "navigation")]
