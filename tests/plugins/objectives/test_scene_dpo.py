import math

import pytest
import torch

from spa3d.contracts.objective import Score, Scores
from spa3d_plugins.objectives.scene_dpo import SceneDPO

LOGP = {
    ("chosen", "clean", "policy"): -2.0,
    ("chosen", "clean", "reference"): -4.0,  # 2 nats more than the reference
    ("rejected", "clean", "policy"): -7.0,
    ("rejected", "clean", "reference"): -5.0,  # 2 nats less
    ("chosen", "noised", "policy"): -5.0,
    ("chosen", "noised", "reference"): -6.0,  # 1 nat more
}


@pytest.mark.parametrize("beta", [0.01, 0.05, 0.1])
def test_answer_term_equals_dpo(losses, beta) -> None:
    named = {"logp_chosen": "dloss_dchosen", "logp_rejected": "dloss_drejected"}
    losses.check(SceneDPO(beta=beta), f"trl_dpo/sigmoid/beta={beta}", **named)


def test_loss_by_hand(make_scores) -> None:
    scores = make_scores({key: (torch.tensor([logp]), torch.tensor([2])) for key, logp in LOGP.items()})

    answer, view = SceneDPO(beta=0.5).terms(scores)

    assert [(term.unit, term.coefficient) for term in (answer, view)] == [("sequence", 1)] * 2
    assert answer.values.item() == pytest.approx(math.log(1 + math.exp(-2)), rel=1e-6)
    assert view.values.item() == pytest.approx(math.log(1 + math.exp(-0.5)), rel=1e-6)


def test_needs_are_three_scores_of_both_models() -> None:
    assert {need.key for need in SceneDPO().needs} == set(LOGP)
    assert all(need.grad == (need.model == "policy") for need in SceneDPO().needs)


def test_view_term_without_a_rejected_answer(make_scores) -> None:
    scores = dict(make_scores({key: (torch.tensor([logp]), torch.tensor([2])) for key, logp in LOGP.items()}))
    nothing = Score(torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.bool), torch.full((1, 1), -1))
    for model in ("policy", "reference"):
        scores["rejected", "clean", model] = nothing
    answer, view = SceneDPO().terms(Scores(scores))
    assert answer.values.item() == 0
    assert view.values.item() > 0
