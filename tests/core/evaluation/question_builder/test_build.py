"""The build of a set: numbers, order of tries, refusals, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spa3d.data.question_sources import AnsweredQuestion, SourceRecord
from spa3d.evaluation.question_builder.build import TWICE, BuildPlan, BuiltQuestions, build_set
from spa3d.evaluation.question_builder.checks import RuleChecker
from spa3d.evaluation.question_builder.contract import Draft, DraftRequest
from spa3d.evaluation.question_builder.rule_writer import RuleWriter
from spa3d.runtime.progress import SilentReporter

COLORS = ("red", "red", "red", "red", "blue", "green", "white", "black")
RECORDS = [SourceRecord(f"o{i}", "object", (f"A thing, mostly {color}.",)) for i, color in enumerate(COLORS)]


class Scripted:
    """Writer with a price that writes what it is told by record."""

    name, is_paid = "scripted", True

    def __init__(self, drafts: Mapping[str, Draft | str]) -> None:
        self.drafts, self.written = drafts, list[str]()

    def write(self, requests: Sequence[DraftRequest]) -> Mapping[str, Draft | str]:
        self.written += [request.record.id for request in requests]
        return {request.key: self.drafts.get(request.record.id, "no reply") for request in requests}


def build(
    writer: Any, counts: Mapping[str, int], *, records: Sequence[SourceRecord] = RECORDS, **settings: int
) -> BuiltQuestions:
    return build_set(records, BuildPlan(counts, **settings), writer, RuleChecker(), reporter=SilentReporter())


def test_a_rule_gives_as_many_questions_as_wanted_with_rare_answers_first() -> None:
    built = build(RuleWriter(RECORDS, seed=0), {"color": 5, "use": 2})
    assert sorted(question.answer for question in built.questions) == ["black", "blue", "green", "red", "white"]
    assert [question.id for question in built.questions] == sorted(question.id for question in built.questions)
    color, use = built.counts["color"], built.counts["use"]
    assert (color.made, color.shortfall, color.tried, color.possible) == (5, 0, 5, 8)
    assert (use.made, use.shortfall, use.tried) == (0, 2, 8)
    assert sum(use.refused.values()) == 8


def test_questions_say_where_they_come_from() -> None:
    question = build(RuleWriter(RECORDS, seed=0), {"color": 1}).questions[0]
    made = question.provenance
    assert (question.level, question.type, question.source) == ("object", "color", question.id.partition("/")[0])
    assert (made["origin"], made["writer"]) == ("caption", "rule")
    assert made["check"] == {"checker": "rule", "result": "stated"}
    assert made["caption"] in [record.captions[0] for record in RECORDS]


def test_the_same_seed_gives_the_same_set_and_another_one_another() -> None:
    writer = RuleWriter(RECORDS, seed=0)
    assert build(writer, {"color": 3}).questions == build(writer, {"color": 3}).questions
    chosen = {tuple(each.id for each in build(writer, {"color": 3}, seed=seed).questions) for seed in range(4)}
    assert len(chosen) > 1


def test_a_paid_writer_gets_no_more_requests_than_allowed() -> None:
    writer = Scripted({})
    built = build(writer, {"color": 2}, attempts=2)
    assert len(writer.written) == 4
    assert built.counts["color"].refused == {"no reply": 4}
    assert built.questions == ()


def test_a_refused_draft_is_replaced_by_the_next() -> None:
    good = {f"o{i}": Draft("Which color?", color, ("tan", "teal", "pink"), "caption") for i, color in enumerate(COLORS)}
    false = {"o0": Draft("Which color?", "tan", ("teal", "pink", "gray"), "caption")}
    double = {"o1": Draft("Which color?", "red", ("tan", "Tan.", "pink"), "caption")}
    built = build(Scripted({**good, **false, **double}), {"color": 6})
    assert len(built.questions) == 6
    counts = built.counts["color"]
    reasons = {"the caption does not state the answer", "two options are the same"}
    assert counts.tried == 8
    assert set(counts.refused) == reasons


def test_a_question_is_not_made_twice() -> None:
    known = [AnsweredQuestion(str(i), "Which way should I go?", ("left",)) for i in range(2)]
    scene = SourceRecord("s", "scene", questions=tuple(known))
    built = build(RuleWriter([scene], seed=0), {"navigation": 2}, records=[scene])
    assert len(built.questions) == 1
    assert built.counts["navigation"].refused == {TWICE: 1}
    assert built.questions[0].provenance["answers"] == ["left"]
