"""Pairs by data augmentation: what the model itself says of a noised cloud is the answer to avoid.

Source: the two ways in which the paper of SPA makes pairs for DPO and SimPO, of which this is the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spa3d.contracts.benchmark import Question
from spa3d.data.preference_pairs import fault_of
from spa3d.inference.predictor import Predictor
from spa3d.llm_clients.response_log import Outcome
from spa3d.preferences.requests import Request
from spa3d.runtime.progress import Advance


def augmented(
    answerer: Predictor,
    requests: Sequence[Request],
    note: Callable[[Sequence[Outcome]], None],
    advance: Advance,
    *,
    own_answers: bool,
) -> None:
    """Answer `requests` about noised clouds greedily, batch by batch.

    Args:
        answerer: the base, with the run's noise.
        requests: what to ask.
        note: takes the outcomes of a batch as soon as they are there.
        advance: moves the progress bar.
        own_answers: prefer what the model says of the clean cloud, and not the true answer.

    """
    for first in range(0, len(requests), answerer.batch_size):
        batch = requests[first : first + answerer.batch_size]
        questions = [Question(one.key, one.record.id, one.question, None, one.answer, "pair") for one in batch]
        rejected = [found.text for found in answerer.answer(questions, "noised", advance)]
        chosen = [one.answer for one in batch]
        if own_answers:
            chosen = [found.text for found in answerer.answer(questions, "clean", lambda units: None)]
        note(
            [
                Outcome(one.key, good, bad, fault_of(good, bad))
                for one, good, bad in zip(batch, chosen, rejected, strict=True)
            ]
        )
