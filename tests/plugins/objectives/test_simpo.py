import math

import pytest
import torch

from spa3d_plugins.objectives.simpo import SimPO

GAMMAS = [0.3, 0.5, 0.8, 1.0, 1.2, 1.4, 1.6]
WITH_GRADIENTS = [0.5, 1.4]


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("beta", [2.0, 2.5])
def test_losses_and_gradients_equal_trl_and_authors_code(losses, beta, gamma) -> None:
    named = {f"logp_{text}": f"dloss_d{text}_sum_logp" for text in ("chosen", "rejected") if gamma in WITH_GRADIENTS}
    losses.check(SimPO(beta=beta, gamma=gamma), f"simpo/beta={beta}/gamma={gamma}", **named)


def test_loss_by_hand(make_scores) -> None:
    # Per token -1 and -3: beta 2 times the difference is 4; minus gamma 1 it is 3.
    inputs = {
        "chosen": (torch.tensor([-2.0]), torch.tensor([2])),
        "rejected": (torch.tensor([-9.0]), torch.tensor([3])),
    }

    (term,) = SimPO(gamma=1.0).terms(make_scores({(text, "clean", "policy"): both for text, both in inputs.items()}))

    assert (term.unit, term.coefficient) == ("sequence", 1)
    assert term.values.item() == pytest.approx(math.log(1 + math.exp(-3)), rel=1e-6)


def test_needs_have_no_reference() -> None:
    assert {need.model for need in SimPO().needs} == {"policy"}


@pytest.mark.parametrize("values", [{"beta": 0}, {"gamma": -1}, {"gamma": float("inf")}])
def test_config_rejects_invalid_values(values) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        SimPO(**values)
