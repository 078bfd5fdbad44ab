import math

import pytest
import torch

from spa3d_plugins.objectives.orpo import ORPO, log_odds


@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_odds_ratio_equals_trl_in_float64(losses, beta) -> None:
    losses.check(ORPO(beta=beta), f"trl_orpo/beta={beta}")


def test_loss_by_hand(make_scores) -> None:
    # Per token 1/2 and 1/4: odds 1 and 1/3, so their ratio is 3, and sigma(log 3) = 3/4.
    chosen = (torch.tensor([2 * math.log(1 / 2)]), torch.tensor([2]))
    rejected = (torch.tensor([math.log(1 / 4)]), torch.tensor([1]))

    preference, nll = ORPO().terms(
        make_scores({("chosen", "clean", "policy"): chosen, ("rejected", "clean", "policy"): rejected})
    )

    assert (preference.unit, preference.coefficient) == ("sequence", 0.1)
    assert preference.values.item() == pytest.approx(math.log(4 / 3), rel=1e-6)
    assert (nll.unit, nll.coefficient) == ("token", 1)
    assert nll.values.tolist() == [[0, pytest.approx(2 * math.log(2)), 0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_odds_are_exact_near_p_1_and_finite_at_1(dtype) -> None:
    logp = torch.tensor([-1e-6, 0.0, -1e4], dtype=dtype, requires_grad=True)
    result = log_odds(logp)
    assert result.tolist()[0] == pytest.approx(math.log(1e6), abs=1e-4)
    assert result.isfinite().all()
    assert result.tolist()[2] == -1e4
    result.sum().backward()
    assert logp.grad.isfinite().all()
    assert logp.grad.tolist()[1:] == [0, 1]
