"""Questions by rule: from captions, facts and questions that people wrote."""

from __future__ import annotations

from typing import Any

import pytest

from spa3d.contracts.dataset import Fact
from spa3d.data.question_sources import AnsweredQuestion, SourceRecord
from spa3d.evaluation.question_builder.contract import Draft, DraftRequest
from spa3d.evaluation.question_builder.rule_writer import RuleWriter

COLORS = ("red", "blue", "green", "white", "black", "yellow")
RECORDS = [SourceRecord(f"o{i}", "object", (f"A thing, mostly {color}.",)) for i, color in enumerate(COLORS)]


def write(writer: RuleWriter, record: SourceRecord, category: str, known: AnsweredQuestion | None = None) -> Any:
    request = DraftRequest(record, category, known)
    return writer.write([request])[request.key]


def test_a_caption_gives_a_question_with_colors_of_other_captions() -> None:
    draft = write(RuleWriter(RECORDS, seed=0), RECORDS[0], "color")
    assert isinstance(draft, Draft)
    assert (draft.question, draft.answer) == ("What is the main color of the object?", "red")
    assert len(set(draft.wrong)) == 3
    assert set(draft.wrong) < set(COLORS) - {"red"}


def test_drafts_depend_on_seed_and_request_only() -> None:
    first, again = (write(RuleWriter(RECORDS, seed=0), RECORDS[0], "color") for _ in range(2))
    drawn = {write(RuleWriter(RECORDS, seed=seed), RECORDS[0], "color").wrong for seed in range(5)}
    assert first == again
    assert len(drawn) > 1


def test_without_other_colors_or_a_color_there_is_a_reason() -> None:
    assert "fewer than 3 wrong options" in write(RuleWriter(RECORDS[:2], seed=0), RECORDS[0], "color")
    assert "states nothing" in write(RuleWriter(RECORDS, seed=0), SourceRecord("x", "object", ("A thing.",)), "color")
    assert "no rule makes it" in write(RuleWriter([], seed=0), SourceRecord("x", "scene", ("A room.",)), "navigation")


def test_a_fact_gives_its_question_and_false_options_of_its_own() -> None:
    fact = Fact("color", "seat", "What color is the seat?", "red", ("red", "dark red", "blue", "green", "white"))
    record = SourceRecord("o", "object", ("A chair with a red seat and blue legs.",), (fact,))
    draft = write(RuleWriter([], seed=0), SourceRecord("o", "object", (), (fact,)), "color")
    assert isinstance(draft, Draft)
    assert (draft.question, draft.answer, set(draft.wrong)) == (fact.question, "red", {"blue", "green", "white"})
    assert draft.origin == "fact"
    unstated = SourceRecord("o", "object", ("A chair.",), (fact,))
    assert isinstance(write(RuleWriter([], seed=0), unstated, "color"), str)
    assert isinstance(write(RuleWriter([], seed=0), record, "color"), Draft)


def test_questions_of_people_get_answers_from_other_scenes() -> None:
    def scene(name: str, thing: str) -> SourceRecord:
        known = AnsweredQuestion(f"{name}-1", "What is next to the door?", (thing, f"big {thing}"))
        return SourceRecord(name, "scene", questions=(known,), names=("lamp",))

    things = ("sofa", "desk", "mirror", "plant", "lamp")
    scenes = [scene(f"s{i}", thing) for i, thing in enumerate(things)]
    draft = write(RuleWriter(scenes, seed=0), scenes[0], "grounding", scenes[0].questions[0])
    assert isinstance(draft, Draft)
    assert draft.answer == "sofa"
    assert set(draft.wrong) == {"desk", "mirror", "plant"}  # a lamp is in the scene


@pytest.mark.parametrize(
    ("category", "answer", "right", "options"),
    [
        ("navigation", "turn around", "backward", {"left", "right", "forward"}),
        ("relation", "front", "in front", {"left", "right", "behind"}),
    ],
)
def test_ways_and_sides_are_the_four_there_are(category: str, answer: str, right: str, options: set[str]) -> None:
    known = AnsweredQuestion("1", "Which way should I go?", (answer,))
    draft = write(RuleWriter([], seed=0), SourceRecord("s", "scene", questions=(known,)), category, known)
    assert isinstance(draft, Draft)
    assert (draft.answer, set(draft.wrong)) == (right, options)
