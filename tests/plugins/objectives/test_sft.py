import pytest
import torch

from spa3d.contracts.objective import Score, Scores
from spa3d_plugins.objectives.sft import SFT


def test_the_term_is_the_negative_log_probability_of_each_answer_token() -> None:
    logp = torch.tensor([[0.0, -1.5, -0.25], [0.0, 0.0, -2.0]], requires_grad=True)
    mask = torch.tensor([[False, True, True], [False, False, True]])
    score = Score(logp, mask, torch.where(mask, 0, -1))

    (term,) = SFT().terms(Scores({("chosen", "clean", "policy"): score}))

    assert term.unit == "token"
    assert term.coefficient == 1
    assert term.values.tolist() == [[0, 1.5, 0.25], [0, 0, 2]]
    term.values.sum().backward()
    assert torch.equal(logp.grad, -torch.ones(2, 3))


def test_needs_are_one_score_with_gradient() -> None:
    (need,) = SFT().needs
    assert need.key == ("chosen", "clean", "policy")
    assert need.grad


def test_config_has_no_fields() -> None:
    with pytest.raises(ValueError, match="beta"):
        SFT(beta=1)
