"""Generation of pairs: requests without a pair, and no repeated request.

Whole runs are in tests/test_pairs.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from spa3d.data.preference_pairs import EMPTY, SAME
from spa3d.errors import DataError
from spa3d.inference.predictor import Predictor
from spa3d.preferences.corruption import NO_ANSWER
from spa3d.preferences.generate import HAS_SPECIAL, GenerationPlan, Pairs, make_pairs
from spa3d.preferences.requests import draw_requests
from spa3d.preferences.writers.contract import RewriteRequest
from spa3d.runtime.progress import SilentReporter

MakePlan = Callable[["Scripted"], GenerationPlan]


class Scripted:
    """Writer with scripted answers, in the opposite order; it records the requests."""

    name = "scripted"

    def __init__(self, say: Callable[[RewriteRequest], tuple[str | None, str]]) -> None:
        self.say, self.requested = say, list[str]()

    def rewrite(self, requests: Sequence[RewriteRequest], on_result: Callable[[str, str | None, str], None]) -> None:
        for request in reversed(requests):
            self.requested.append(request.key)
            on_result(request.key, *self.say(request))


@pytest.fixture
def plan(toy_dataset: Any, tmp_path: Path) -> MakePlan:
    requests = draw_requests(toy_dataset, toy_dataset.records("train"), seed=0, limit=8, with_cloud=False)
    return lambda writer: GenerationPlan(requests, tmp_path / "bases" / "log.jsonl", {"mode": "corruption"}, writer)


def nobody() -> Predictor:
    raise AssertionError("the model was asked")


def make(plan: GenerationPlan, requests: int = 8) -> Pairs:
    part = GenerationPlan(plan.requests[:requests], plan.path, plan.made, plan.writer)
    return make_pairs(part, nobody, own_answers=False, special_tokens=["</s>"], reporter=SilentReporter())


def test_make_pairs_counts_dropped_requests(plan: MakePlan) -> None:
    requests = plan(Scripted(lambda request: (None, ""))).requests
    keys = [one.key for one in requests]
    bad: dict[str, tuple[str | None, str]] = {
        keys[0]: (requests[0].answer.upper() + " ", ""),
        keys[1]: (None, "nonsense"),
        keys[2]: (None, ""),
        keys[3]: ("It ends </s> here.", ""),
        keys[4]: (None, "nonsense"),
        keys[5]: ("  ", ""),
    }
    pairs = make(plan(Scripted(lambda request: bad.get(request.key, ("something else", "")))))
    assert pairs.requested == 8
    assert pairs.dropped == {"nonsense": 2, SAME: 1, NO_ANSWER: 1, HAS_SPECIAL: 1, EMPTY: 1}
    for pair, request in zip(pairs.kept, requests[6:], strict=True):
        texts = (pair.record_id, pair.question, pair.chosen, pair.rejected)
        assert texts == (request.record.id, request.question, request.answer, "something else")
        assert pair.made == {"mode": "corruption"}
    assert str(pairs).startswith("2 pairs of 8 requests; 2 dropped: nonsense; 1 dropped: ")


def test_make_pairs_without_any_pair_is_an_error(plan: MakePlan) -> None:
    with pytest.raises(
        DataError,
        match=r"--pairs\.mode corruption: 0 pairs of 8 requests; 8 dropped: no; nothing is left .* take another",
    ):
        make(plan(Scripted(lambda request: (None, "no"))))


def test_make_pairs_reuses_the_log_and_requests_the_rest(plan: MakePlan) -> None:
    writer = Scripted(lambda request: ("something else", "") if len(writer.requested) % 2 else (None, "no"))
    assert not plan(writer).is_complete
    first = make(plan(writer), requests=4)
    assert len(writer.requested) == 4
    assert make(plan(writer), requests=4) == first
    assert len(writer.requested) == 4
    assert not plan(writer).is_complete
    make(plan(writer))
    assert len(writer.requested) == len(set(writer.requested)) == 8
    assert plan(writer).is_complete


def test_make_pairs_keeps_responses_before_an_error(plan: MakePlan) -> None:
    def failing(request: RewriteRequest) -> tuple[str, str]:
        if len(writer.requested) == 5:
            raise DataError("the endpoint is gone")
        return "something else", ""

    writer = Scripted(failing)
    with pytest.raises(DataError, match="gone"):
        make(plan(writer))
    kept = plan(writer).open_log().responses
    assert len(kept) == 4
    again = Scripted(lambda request: ("something else", ""))
    assert len(make(plan(again)).kept) == 8
    assert len(again.requested) == 4
    assert not set(again.requested) & set(kept)
