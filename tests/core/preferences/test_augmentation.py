"""Answers about noised clouds, in batches; every batch is reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from spa3d.contracts.noise import Noise, NoiseConfig
from spa3d.contracts.objective import Need
from spa3d.data.preference_pairs import pair_error
from spa3d.inference.predictor import Predictor
from spa3d.inference.views import ViewEncoder, built_in_views
from spa3d.preferences.augmentation import generate_augmented
from spa3d.preferences.requests import Request, Response, draw_requests


class Scatter(Noise):
    """Points anywhere."""

    Config = NoiseConfig

    def apply(self, points: Any, draws: Any) -> Any:
        return points + 3 * draws.normal(*points.shape[1:])


@pytest.fixture
def predictor(toy: Any) -> Predictor:
    model, processor, clouds = toy()
    with torch.no_grad():  # sharper than fresh weights are, so that the cloud shows in the answer
        for parameter in model.parameters():
            parameter.mul_(3)
    views = built_in_views(ViewEncoder(model, clouds), noise=Scatter(), seed=5)
    return Predictor(model, processor, views, batch_size=3)


def ask(predictor: Predictor, toy_dataset: Any, *, own_answers: bool) -> tuple[list[Request], list[list[Response]]]:
    requests = draw_requests(toy_dataset, toy_dataset.records("train"), seed=5, limit=8, with_cloud=True)
    noted: list[list[Response]] = []
    advanced: list[int] = []

    def note(responses: Sequence[Response]) -> None:
        noted.append(list(responses))

    generate_augmented(predictor, requests, note, advanced.append, own_answers=own_answers)
    assert sum(advanced) == len(requests)
    return requests, noted


def greedy(predictor: Predictor, request: Request, view: str) -> str:
    """Token by token, by hand."""
    ids = predictor.processor.question_ids(request.question, cloud=True)
    clouds, start = predictor.views[view].tokens([(request.record.id, 0)]).tokens, len(ids)
    while len(ids) < start + 64 and ids[-1] != predictor.processor.tokenizer.eos_token_id:
        logits = predictor.model(input_ids=torch.tensor([ids]), point_tokens=clouds).logits
        ids.append(int(logits[0, -1].argmax()))
    return predictor.processor.decode_answer(ids[start:])


def test_generate_augmented_rejected_is_the_answer_about_the_noised_cloud(
    predictor: Predictor, toy_dataset: Any
) -> None:
    requests, noted = ask(predictor, toy_dataset, own_answers=False)
    assert [len(batch) for batch in noted] == [3, 3, 2]
    result = [response for batch in noted for response in batch]
    for request, response in zip(requests, result, strict=True):
        rejected = greedy(predictor, request, Need("chosen", "noised").view)
        assert response == Response(request.key, request.answer, rejected, pair_error(request.answer, rejected))


def test_chosen_may_be_the_models_own_answer_to_the_clean_cloud(predictor: Predictor, toy_dataset: Any) -> None:
    requests, noted = ask(predictor, toy_dataset, own_answers=True)
    result = [response for batch in noted for response in batch]
    assert [one.chosen for one in result] == [greedy(predictor, one, "clean") for one in requests]
    assert any(one.chosen != one.rejected for one in result)
