"""Build of a set of questions: requests in a drawn order, drafts, checks, refusals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from spa3d.data.option_questions import OptionQuestion, describe_bad_options
from spa3d.data.question_sources import SourceRecord
from spa3d.evaluation.question_builder.contract import (
    CATEGORIES,
    Checker,
    CheckResult,
    Draft,
    DraftRequest,
    Writer,
)
from spa3d.evaluation.question_builder.qa_rules import classify_question
from spa3d.runtime.progress import Reporter
from spa3d.runtime.rng import keyed_generator

TWICE = "the same question with the same options was made before"


@dataclass(frozen=True)
class BuildPlan:
    """What is to be made.

    Attributes:
        counts: target number of questions by category.
        seed: of all draws.
        attempts: most requests per question, for a writer that is paid.

    """

    counts: Mapping[str, int]
    seed: int = 0
    attempts: int = 3


@dataclass(frozen=True)
class CategoryCount:
    """Numbers of one category.

    Attributes:
        target: questions to be made.
        made: questions in the set.
        tried: requests that were written.
        possible: records and known questions that could be tried.
        refused: drafts and replies that were refused, by reason.

    """

    target: int
    made: int
    tried: int
    possible: int
    refused: Mapping[str, int]

    @property
    def shortfall(self) -> int:
        """Questions that could not be made."""
        return max(0, self.target - self.made)


@dataclass(frozen=True)
class BuiltQuestions:
    """A set of questions.

    Attributes:
        questions: by category, each in the order of its ids.
        counts: by category.
        notes: sentences about the sources.

    """

    questions: tuple[OptionQuestion, ...]
    counts: Mapping[str, CategoryCount]
    notes: tuple[str, ...] = ()


def build_set(
    records: Sequence[SourceRecord],
    plan: BuildPlan,
    writer: Writer,
    checker: Checker,
    *,
    reporter: Reporter,
) -> BuiltQuestions:
    """Make questions until every category has its number, or nothing is left to be tried.

    Args:
        records: the sources.
        plan: what is to be made.
        writer: of the drafts.
        checker: of the drafts.
        reporter: where progress goes.

    """
    builds = {name: _CategoryBuild(name, count, records, plan.seed) for name, count in plan.counts.items()}
    for build in builds.values():
        build.arrange(writer)
    while batch := [*chain(*(build.take(plan.attempts if writer.is_paid else None) for build in builds.values()))]:
        drafts = writer.write(batch)
        good = {each.key: (each, draft) for each in batch if isinstance(draft := drafts[each.key], Draft)}
        results = checker.check(good)
        for request in batch:
            builds[request.category].add(request, drafts[request.key], results.get(request.key), writer.name)
        reporter.say(", ".join(f"{name} {len(build.made)} of {build.target}" for name, build in builds.items()))
    questions = chain(*(sorted(build.made, key=lambda each: each.id) for build in builds.values()))
    return BuiltQuestions(tuple(questions), {name: build.count() for name, build in builds.items()})


class _CategoryBuild:
    """Questions of one category: what is left to be tried, what was made, what was refused."""

    def __init__(self, category: str, target: int, records: Sequence[SourceRecord], seed: int) -> None:
        self.target, self._seed = target, seed
        requests = list(_list_requests(category, records)) if target else []
        order = keyed_generator("requests", seed, category).permutation(len(requests))
        self.requests = [requests[i] for i in order]
        self.made: list[OptionQuestion] = []
        self._refused = Counter[str]()
        self._tried, self._known = 0, set[tuple[object, ...]]()

    def arrange(self, writer: Writer) -> None:
        """Arrange the requests of a free writer so that no answer is frequent among the first."""
        if writer.is_paid:
            return
        drafts = writer.write(self.requests)
        seen, ranks = defaultdict[str, int](int), {}
        for request in self.requests:
            draft = drafts[request.key]
            if isinstance(draft, Draft):
                ranks[request.key] = seen[draft.answer]
                seen[draft.answer] += 1
        self.requests.sort(key=lambda request: ranks.get(request.key, len(self.requests)))

    def take(self, attempts: int | None) -> list[DraftRequest]:
        """Take as many requests as questions are missing; at most `attempts` per question."""
        limit = len(self.requests) if attempts is None else attempts * self.target
        end = min(self._tried + self.target - len(self.made), limit, len(self.requests))
        batch = self.requests[self._tried : end]
        self._tried = max(end, self._tried)
        return batch

    def add(self, request: DraftRequest, draft: Draft | str, result: CheckResult | None, writer: str) -> None:
        """Add a draft that passed its check, or count why there is none."""
        if isinstance(draft, str) or result is None:
            self._refused[str(draft)] += 1
            return
        why_not = describe_bad_options(draft.options) or result.why_not
        identity = (request.record.id, draft.question.lower(), frozenset(map(str.lower, draft.options)))
        why_not = why_not or (TWICE if identity in self._known else "")
        if why_not:
            self._refused[why_not] += 1
            return
        self._known.add(identity)
        self.made.append(self._finish(request, draft, result, writer))

    def count(self) -> CategoryCount:
        """Numbers of the category."""
        return CategoryCount(
            self.target, len(self.made), self._tried, len(self.requests), dict(self._refused.most_common())
        )

    def _finish(self, request: DraftRequest, draft: Draft, result: CheckResult, writer: str) -> OptionQuestion:
        order = keyed_generator("options", self._seed, request.key).permutation(len(draft.options))
        options = tuple(draft.options[i] for i in order)
        made = {"origin": draft.origin, "writer": writer, **draft.made, "seed": self._seed, "check": dict(result.made)}
        if request.known:
            made |= {"known": request.known.id, "answers": list(request.known.answers)}
        if request.caption:
            made["caption"] = request.caption
        return OptionQuestion(
            id=request.key,
            source=request.record.id,
            type=request.category,
            question=draft.question,
            options=options,
            answer_index=options.index(draft.answer),
            level=CATEGORIES[request.category].level,
            provenance=made,
            blind_solvable=result.blind_solvable,
        )


def _list_requests(category: str, records: Sequence[SourceRecord]) -> Iterable[DraftRequest]:
    """List what can be tried: questions that people wrote, and each record with a text."""
    keys = set[str]()
    for record in records:
        for known in record.questions:
            request = DraftRequest(record, category, known)
            if classify_question(known, record.level) == category and request.key not in keys:
                keys.add(request.key)
                yield request
        own = DraftRequest(record, category)
        if (record.captions or record.facts) and record.level == CATEGORIES[category].level and own.key not in keys:
            keys.add(own.key)
            yield own
