import math

import pytest
import torch

from spa3d_plugins.objectives.cpo import CPO


@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_preference_equals_trl(losses, beta) -> None:
    losses.check(CPO(beta=beta), f"trl_cpo/sigmoid/beta={beta}/sum_logps")


def test_loss_by_hand(make_scores) -> None:
    inputs = {
        "chosen": (torch.tensor([-1.5]), torch.tensor([2])),
        "rejected": (torch.tensor([-3.5]), torch.tensor([1])),
    }

    preference, nll = CPO(beta=0.5, alpha=0.25).terms(
        make_scores({(text, "clean", "policy"): each for text, each in inputs.items()})
    )

    assert (preference.unit, preference.coefficient) == ("sequence", 1)
    assert preference.values.item() == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-6)
    assert (nll.unit, nll.coefficient) == ("token", 0.25)
    assert nll.values.tolist() == [[0, 1.5, 0]]


def test_alpha_0_gives_the_preference_term_only(losses) -> None:
    scores, _ = losses.scores()
    (term,) = CPO(alpha=0).terms(scores)
    assert term.name == "cpo"


def test_needs_have_no_reference() -> None:
    assert {need.model for need in CPO().needs} == {"policy"}
