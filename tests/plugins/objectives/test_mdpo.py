import math

import pytest
import torch

from spa3d_plugins.objectives.mdpo import MDPO
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
    losses.check(MDPO(beta=beta), f"trl_dpo/sigmoid/beta={beta}", **named)


def test_loss_by_hand(make_scores) -> None:
    scores = make_scores({key: (torch.tensor([logp]), torch.tensor([2])) for key, logp in LOGP.items()})

    terms = MDPO(beta=0.5, delta=0.25).terms(scores)

    assert [(term.name, term.unit, term.coefficient) for term in terms] == [
        (name, "sequence", 1) for name in ("answer", "view", "anchor")
    ]
    margins = [2.0, 0.5, 0.75]  # 0.5 x (2 + 2), 0.5 x (2 - 1), 0.5 x 2 - 0.25
    assert [term.values.item() for term in terms] == [
        pytest.approx(math.log(1 + math.exp(-margin)), rel=1e-6) for margin in margins
    ]


def test_needs_equal_those_of_scene_dpo() -> None:
    assert MDPO().needs == SceneDPO().needs
