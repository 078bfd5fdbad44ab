"""Writer of questions by rule, from captions, facts and questions that people wrote.

Wrong options come from the other records, in a keyed order, so that they are as frequent as the right ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeVar

from spa3d.contracts.dataset import Fact
from spa3d.data.question_sources import AnsweredQuestion, SourceRecord
from spa3d.evaluation.question_builder.caption_rules import (
    Statement,
    find_statement,
    list_values,
    select_wrong,
)
from spa3d.evaluation.question_builder.contract import CATEGORIES, WRONG, Draft, DraftRequest
from spa3d.evaluation.question_builder.qa_rules import (
    SIDES,
    KnownAnswers,
    classify_question,
    find_direction,
    has_similar_length,
    is_possible_option,
    list_directions,
    list_forms,
)
from spa3d.evaluation.question_builder.scene_rules import find_scene_statements, list_other_places
from spa3d.metrics.text_matching import asserts_fact, mentions, stated_answers
from spa3d.runtime.rng import keyed_generator

Item = TypeVar("Item")
SAID_NOTHING = {
    "caption": "the caption states nothing of the category that a rule can read",
    "navigation": "no rule makes it from a caption; give a file of questions such as SQA3D's, or another --writer",
}
TOO_FEW = f"fewer than {WRONG} wrong options are known to be false"


class RuleWriter:
    """Writer by rule; its drafts are a function of seed, records and request.

    Args:
        records: all records, the source of wrong options.
        seed: of the draws.

    """

    name = "rule"
    is_paid = False

    def __init__(self, records: Sequence[SourceRecord], *, seed: int) -> None:
        self._seed = seed
        self._known: dict[str, KnownAnswers] = {}
        self._statements: dict[str, list[Statement]] = {
            category: [statement for record in records for statement in _read_captions(record, category)]
            for category in CATEGORIES
        }
        self._answers: dict[tuple[str, str], list[str]] = defaultdict(list)
        for record in records:
            for known in record.questions:
                category = classify_question(known, record.level)
                for form in list_forms(known.question) if category else ():
                    self._answers[category, form].append(known.answers[0])

    def write(self, requests: Sequence[DraftRequest]) -> Mapping[str, Draft | str]:
        """Write the drafts."""
        return {request.key: self._write(request) for request in requests}

    def _write(self, request: DraftRequest) -> Draft | str:
        if request.known:
            return self._from_answers(request, request.known)
        statements = _read_captions(request.record, request.category)
        drafts = [draft for each in statements if (draft := self._from_caption(request, each))]
        reason = SAID_NOTHING.get(request.category, SAID_NOTHING["caption"])
        return next(chain(drafts, self._from_facts(request)), TOO_FEW if statements else reason)

    def _from_caption(self, request: DraftRequest, statement: Statement) -> Draft | None:
        pool = list_values(statement.family) or self._statements[request.category]
        if request.category == "relation":
            pool = list_other_places(statement)
        wrong = select_wrong(statement, self._shuffle(pool, request), request.caption, request.category, count=WRONG)
        evidence = {each.answer: each.evidence for each in (statement, *wrong)}
        texts = tuple(each.answer for each in wrong)
        return Draft(statement.question, statement.answer, texts, "caption", evidence) if len(wrong) == WRONG else None

    def _from_facts(self, request: DraftRequest) -> Iterator[Draft]:
        facts = [fact for fact in request.record.facts if fact.kind == request.category]
        for fact in self._shuffle(facts, request):
            stated = not request.caption or asserts_fact(request.caption, fact, _subjects(request.record))
            wrong = [option for option in self._shuffle(fact.options, request) if _is_false(option, fact, request)]
            if stated and len(wrong) >= WRONG:
                yield Draft(fact.question, fact.answer, tuple(wrong[:WRONG]), "fact")

    def _from_answers(self, request: DraftRequest, known: AnsweredQuestion) -> Draft | str:
        question, answers = known.question, known.answers
        if ways := _list_ways(request.category, answers[0]):
            return Draft(question, ways[0], tuple(self._shuffle(ways[1:], request)), "qa", {ways[0]: answers})
        context, chosen = self._find_context(request.record), list[str]()
        for form in list_forms(question):
            for option in self._shuffle(self._answers[request.category, form], request):
                if len(chosen) == WRONG:
                    return Draft(question, answers[0], tuple(chosen), "qa", {answers[0]: answers})
                is_alike = has_similar_length(option, answers[0]) and option not in chosen
                if is_alike and not context.rules_out(option):
                    is_possible = is_possible_option(option, [*answers, *chosen], request.category)
                    chosen += [option] if is_possible else []
        return TOO_FEW

    def _find_context(self, record: SourceRecord) -> KnownAnswers:
        if record.id not in self._known:
            self._known[record.id] = KnownAnswers(record)
        return self._known[record.id]

    def _shuffle(self, items: Sequence[Item], request: DraftRequest) -> Iterator[Item]:
        """Yield the items in an order drawn for the request."""
        order = keyed_generator("wrong options", self._seed, request.key).permutation(len(items))
        return (items[i] for i in order)


def _list_ways(category: str, answer: str) -> list[str]:
    """The four ways or sides, the right one first, where the answer is one of them; else none."""
    way = find_direction(answer) if category in ("navigation", "relation") else ""
    if not way:
        return []
    ways = list_directions()
    names = ways if category == "navigation" else SIDES
    right = names[ways.index(way)]
    return [right, *(name for name in names if name != right)]


def _read_captions(record: SourceRecord, category: str) -> list[Statement]:
    """Statements of a category that the captions of a record make."""
    if CATEGORIES[category].level != record.level:
        return []
    if record.level == "scene":
        return [each for caption in record.captions for each in find_scene_statements(caption, category)]
    statements = (find_statement(caption, category) for caption in record.captions)
    return [statement for statement in statements if statement]


def _is_false(option: str, fact: Fact, request: DraftRequest) -> bool:
    """Whether an option of a fact is neither like the answer nor in the caption."""
    stated = stated_answers(request.caption, fact, _subjects(request.record))
    return not (mentions(option, fact.answer) or mentions(fact.answer, option) or option in stated)


def _subjects(record: SourceRecord) -> set[str]:
    return {fact.subject for fact in record.facts}
