"""Generation of preference pairs; logged answers are reused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa3d.data.preference_pairs import EMPTY, Pair
from spa3d.errors import DataError
from spa3d.inference.predictor import Predictor
from spa3d.llm_clients.response_log import ResponseLog
from spa3d.preferences.augmentation import generate_augmented
from spa3d.preferences.corruption import generate_corrupted
from spa3d.preferences.requests import Request, Response
from spa3d.preferences.writers.contract import Writer
from spa3d.runtime.progress import Reporter

HAS_SPECIAL = "an answer holds a mark of the model's own"
NO_RESPONSE = "no answer came"
HINTS = {
    "augmentation": "take --pairs.mode corruption or, if answers to noised clouds were right, a higher --noise.level",
    "corruption": "take another --pairs.writer or --pairs.llm, or --pairs.mode augmentation",
}
"""Hints for a mode that gave no pair."""
UNTRAINED = (
    "the base gives empty answers, because it is hardly trained (the preset smoke trains it for three steps); take "
    "another --preset, more --base.instruct.steps, or --pairs.mode corruption"
)
"""Hint for a base without answers."""


@dataclass(frozen=True)
class Pairs:
    """The pairs of a run, and the number of requests without a pair.

    Attributes:
        kept: the pairs, in the order of their requests.
        requested: number of requests.
        dropped: number of requests that gave no pair, by reason.

    """

    kept: Sequence[Pair]
    requested: int
    dropped: Mapping[str, int]

    def __str__(self) -> str:
        reasons = "; ".join(f"{count} dropped: {why}" for why, count in self.dropped.items())
        pairs = "1 pair" if len(self.kept) == 1 else f"{len(self.kept)} pairs"
        return f"{pairs} of {self.requested} requests" + (f"; {reasons}" if reasons else "")


@dataclass(frozen=True)
class GenerationPlan:
    """Requests for the pairs of a run, and the log of their responses.

    Attributes:
        requests: in order.
        path: the response log, shared by all runs that would get the same answers.
        made: provenance, stored in each pair; contains ``mode``.
        writer: writer of the wrong answers; None if the model itself gives them.

    """

    requests: Sequence[Request]
    path: Path
    made: Mapping[str, Any]
    writer: Writer | None

    @property
    def is_complete(self) -> bool:
        """Whether every request has a response."""
        return not self.find_missing(self.open_log())

    def open_log(self) -> ResponseLog[Response]:
        """Read the response log; raises `DataError` if it is broken."""
        return ResponseLog(self.path, Response)

    def find_missing(self, log: ResponseLog[Response]) -> list[Request]:
        """Requests without a response in `log`."""
        return [request for request in self.requests if request.key not in log.responses]


def make_pairs(
    plan: GenerationPlan,
    predictor: Callable[[], Predictor],
    *,
    own_answers: bool,
    special_tokens: Collection[str],
    reporter: Reporter,
) -> Pairs:
    """Make the pairs of `plan`: generate missing responses, and log each at once.

    Args:
        plan: requests and log.
        predictor: returns the base with the run's noise; called only if the base generates answers.
        own_answers: chosen is the base's answer about the clean cloud; false: the true answer.
        special_tokens: tokens of the model that no answer may contain.
        reporter: where progress goes.

    Raises:
        DataError: no usable pair is left, or a text is too long for the model.

    """
    log = plan.open_log()
    if plan.find_missing(log):
        with log.lock(lambda: reporter.say(f"{log.path}: another process is making these pairs; waiting for it")):
            _generate_missing(plan, log, predictor, own_answers=own_answers, reporter=reporter)
    pairs = _select(plan, log, special_tokens)
    if not pairs.kept:
        mode = plan.made["mode"]
        untrained = mode == "augmentation" and pairs.dropped.get(EMPTY) == pairs.requested
        hint = UNTRAINED if untrained else HINTS[mode]
        raise DataError(f"--pairs.mode {mode}: {pairs}; nothing is left to train on: {hint}")
    reporter.say(f"{pairs}; the answers are kept in {plan.path}")
    return pairs


def _generate_missing(
    plan: GenerationPlan,
    log: ResponseLog[Response],
    predictor: Callable[[], Predictor],
    *,
    own_answers: bool,
    reporter: Reporter,
) -> None:
    missing = plan.find_missing(log)
    if not missing:
        return
    with reporter.track(len(missing), "pairs") as advance:
        if plan.writer is not None:
            generate_corrupted(plan.writer, missing, log.add, advance)
        else:
            generate_augmented(predictor(), missing, log.add, advance, own_answers=own_answers)


def _select(plan: GenerationPlan, log: ResponseLog[Response], special_tokens: Collection[str]) -> Pairs:
    """Collect the pairs, and count the reasons of requests without a pair."""
    pairs, dropped = [], Counter[str]()
    for request in plan.requests:
        response = log.responses.get(request.key)
        why_not = NO_RESPONSE if response is None else response.why_not
        if response is not None and any(token in response.chosen + response.rejected for token in special_tokens):
            why_not = HAS_SPECIAL
        if response is None or why_not:
            dropped[why_not] += 1
            continue
        pairs.append(
            Pair(request.record.id, request.question, response.chosen, response.rejected, request.has_cloud, plan.made)
        )
    return Pairs(pairs, len(plan.requests), dict(dropped.most_common()))
