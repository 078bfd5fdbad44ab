"""Pairs by data augmentation: rejected is the model's own answer about a noised cloud.

Source: the first of the two methods in the SPA paper that make pairs for DPO and SimPO.
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
        requests: the questions.
        on_responses: called with the responses of each batch.
        advance: moves the progress bar.
        own_answers: chosen is the model's answer about the clean cloud; false: the true answer.

    """
    for first in range(0, len(requests), predictor.batch_size):
        batch = requests[first : first + predictor.batch_size]
        questions = [
            Question(request.key, request.record.id, request.question, None, request.answer, "pair")
            for request in batch
        ]
        rejected = [prediction.text for prediction in predictor.answer(questions, "noised", advance)]
        chosen = [request.answer for request in batch]
        if own_answers:
            chosen = [prediction.text for prediction in predictor.answer(questions, "clean", lambda units: None)]
        on_responses(
            [
                Response(request.key, preferred, other, pair_error(preferred, other))
                for request, preferred, other in zip(batch, chosen, rejected, strict=True)
            ]
        )
