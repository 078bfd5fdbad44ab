"""Pairs by data augmentation: the answer to avoid is what the model itself says of a noised cloud.

Source: the two ways in which the paper of SPA makes pairs for DPO and SimPO, of which this is the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spa3d.contracts.benchmark import Question
from spa3d.data.preference_pairs import pair_error
from spa3d.inference.predictor import Predictor
from spa3d.preferences.requests import Request, Response
from spa3d.runtime.progress import Advance


def generate_augmented(
    predictor: Predictor,
    requests: Sequence[Request],
    on_responses: Callable[[Sequence[Response]], None],
    advance: Advance,
    *,
    own_answers: bool,
) -> None:
    """Answer `requests` about noised clouds greedily, batch by batch.

    Args:
        predictor: the base, with the run's noise.
        requests: what to ask.
        on_responses: takes the responses of a batch as soon as they are there.
        advance: moves the progress bar.
        own_answers: prefer what the model says of the clean cloud, and not the true answer.

    """
    for first in range(0, len(requests), predictor.batch_size):
        batch = requests[first : first + predictor.batch_size]
        questions = [Question(one.key, one.record.id, one.question, None, one.answer, "pair") for one in batch]
        rejected = [prediction.text for prediction in predictor.answer(questions, "noised", advance)]
        chosen = [one.answer for one in batch]
        if own_answers:
            chosen = [prediction.text for prediction in predictor.answer(questions, "clean", lambda units: None)]
        on_responses(
            [
                Response(one.key, good, bad, pair_error(good, bad))
                for one, good, bad in zip(batch, chosen, rejected, strict=True)
            ]
        )
