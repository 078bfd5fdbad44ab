"""Generation of preference pairs: answers that are logged are reused, the others are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa3d.data.preference_pairs import Pair
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
"""What to do where a mode gave no pair."""


@dataclass(frozen=True)
class Pairs:
    """The pairs of a run, and what became of the other requests.

    Attributes:
        kept: the pairs, in the order in which they were asked for.
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
    """What is to be asked for the pairs of a run, and where the answers are kept.

    Attributes:
        requests: in order.
        path: the response log that all runs share whose answers would be the same.
        made: how the pairs come about, as each of them tells; ``mode`` is in it.
        writer: who writes the wrong answers; None where the model itself does.

    """

    requests: Sequence[Request]
    path: Path
    made: Mapping[str, Any]
    writer: Writer | None

    @property
    def complete(self) -> bool:
        """Whether every request has its response."""
        return not self.missing(self.open_log())

    def open_log(self) -> ResponseLog[Response]:
        """Read the response log; raises `DataError` where it is broken."""
        return ResponseLog(self.path, Response)

    def missing(self, log: ResponseLog[Response]) -> list[Request]:
        """Requests without a response in `log`."""
        return [one for one in self.requests if one.key not in log.responses]


def make_pairs(
    plan: GenerationPlan,
    predictor: Callable[[], Predictor],
    *,
    own_answers: bool,
    special_tokens: Sequence[str],
    reporter: Reporter,
) -> Pairs:
    """Make the pairs of `plan`; what its log does not answer yet is asked for, and each response is kept at once.

    Args:
        plan: what to ask.
        predictor: gives the base with the run's noise; called where the base is to be asked.
        own_answers: the base's own answers to clean clouds are the chosen ones, and not the true answers.
        special_tokens: tokens of the model that no answer may hold.
        reporter: where progress goes.

    Raises:
        DataError: no pair is left, or a text is too long for the model.

    """
    log = plan.open_log()
    if plan.missing(log):
        with log.locked(lambda: reporter.say(f"{log.path}: another process is making these pairs; waiting for it")):
            _ask(plan, log, predictor, own_answers=own_answers, reporter=reporter)
    pairs = _select(plan, log, special_tokens)
    if not pairs.kept:
        mode = plan.made["mode"]
        raise DataError(f"--pairs.mode {mode}: {pairs}; nothing is left to train on: {HINTS[mode]}")
    reporter.say(f"{pairs}; the answers are kept in {plan.path}")
    return pairs


def _ask(
    plan: GenerationPlan,
    log: ResponseLog[Response],
    predictor: Callable[[], Predictor],
    *,
    own_answers: bool,
    reporter: Reporter,
) -> None:
    missing = plan.missing(log)
    if not missing:
        return
    with reporter.track(len(missing), "pairs") as advance:
        if plan.writer is not None:
            generate_corrupted(plan.writer, missing, log.add, advance)
        else:
            generate_augmented(predictor(), missing, log.add, advance, own_answers=own_answers)


def _select(plan: GenerationPlan, log: ResponseLog[Response], special_tokens: Sequence[str]) -> Pairs:
    """Sort the requests into those that gave a pair, and the reasons of the others."""
    kept, dropped = [], Counter[str]()
    for one in plan.requests:
        response = log.responses.get(one.key)
        why_not = NO_RESPONSE if response is None else response.why_not
        if response is not None and any(token in response.chosen + response.rejected for token in special_tokens):
            why_not = HAS_SPECIAL
        if response is None or why_not:
            dropped[why_not] += 1
            continue
        kept.append(Pair(one.record.id, one.question, response.chosen, response.rejected, one.has_cloud, plan.made))
    return Pairs(kept, len(plan.requests), dict(dropped.most_common()))
