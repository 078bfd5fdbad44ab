import math

import pytest
import torch

from spa3d_plugins.objectives.r_dpo import RDPO


@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_losses_equal_formula(losses, alpha) -> None:
    losses.check(RDPO(beta=0.1, alpha=alpha), f"r_dpo/beta=0.1/alpha={alpha}")


@pytest.mark.parametrize("beta", [0.01, 0.05, 0.1])
def test_alpha_0_equals_dpo(losses, beta) -> None:
    setting = f"trl_dpo/sigmoid/beta={beta}"
    named = {"logp_chosen": "dloss_dchosen", "logp_rejected": "dloss_drejected"}
    losses.check(RDPO(beta=beta, alpha=0), setting, **named)


def test_longer_chosen_answer_lowers_the_loss(make_scores) -> None:
    lengths = {"chosen": torch.tensor([5, 1]), "rejected": torch.tensor([1, 5])}
    keys = [(text, "clean", model) for text in lengths for model in ("policy", "reference")]
    (term,) = RDPO(alpha=0.5).terms(make_scores({key: (torch.tensor([-1.0, -1.0]), lengths[key[0]]) for key in keys}))
    assert (term.unit, term.coefficient) == ("sequence", 1)
    assert term.values.tolist() == pytest.approx([math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))], rel=1e-6)
