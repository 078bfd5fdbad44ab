import math

import pytest
import torch

from spa3d_plugins.objectives.dpo import DPO


@pytest.mark.parametrize("beta", [0.01, 0.05, 0.1])
def test_losses_and_gradients_equal_trl(losses, beta) -> None:
    setting = f"trl_dpo/sigmoid/beta={beta}"
    losses.check(DPO(beta=beta), setting, logp_chosen="dloss_dchosen", logp_rejected="dloss_drejected")


def test_loss_by_hand(make_scores) -> None:
    # (-3 - -5) - (-8 - -4) = 6 nats over the reference, times 0.5.
    two = torch.tensor([2])
    inputs = {("chosen", "policy"): -3.0, ("chosen", "reference"): -5.0}
    inputs |= {("rejected", "policy"): -8.0, ("rejected", "reference"): -4.0}
    scores = make_scores(
        {(text, "clean", model): (torch.tensor([logp]), two) for (text, model), logp in inputs.items()}
    )

    (term,) = DPO(beta=0.5).terms(scores)

    assert (term.unit, term.coefficient) == ("sequence", 1)
    assert term.values.item() == pytest.approx(math.log(1 + math.exp(-3)), rel=1e-6)


def test_the_reference_is_scored_without_gradient() -> None:
    assert [(need.text, need.model, need.grad) for need in DPO().needs] == [
        ("chosen", "policy", True),
        ("rejected", "policy", True),
        ("chosen", "reference", False),
        ("rejected", "reference", False),
    ]


@pytest.mark.parametrize("beta", [0, -0.1, float("nan")])
def test_config_rejects_invalid_beta(beta) -> None:
    with pytest.raises(ValueError, match="beta"):
        DPO(beta=beta)
