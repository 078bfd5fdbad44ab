import math

import pytest
import torch
from torch import Tensor

from spa3d.contracts.objective import Score, Scores
from spa3d_plugins.objectives.blind_residual import BlindResidual

CLEAN_MASK = torch.tensor([[False, True, False, True], [False, False, True, False]])
BLIND_MASK = torch.tensor([[True, True], [False, True]])
LABELS = torch.tensor([1, 0, 2])


def score(logits: Tensor, mask: Tensor) -> Score:
    whole = logits.log_softmax(dim=-1)
    logp = torch.zeros(mask.shape, dtype=logits.dtype).masked_scatter(mask, whole.gather(1, LABELS[:, None])[:, 0])
    return Score(logp, mask, torch.where(mask, 0, -1), whole)


def loss(clean: Tensor, blind: Tensor, share: float) -> Tensor:
    inputs = {
        ("chosen", "clean", "policy"): score(clean, CLEAN_MASK),
        ("chosen", "blind", "policy"): score(blind, BLIND_MASK),
    }
    (term,) = BlindResidual(share=share).terms(Scores(inputs))
    assert (term.unit, term.coefficient) == ("token", 1)
    return term.values


def test_loss_by_hand() -> None:
    # p is 1/2, 1/4, 1/4 with the cloud and 1/4, 1/2, 1/4 with the text; label 1 gets 1/8 of 5/16 in the product.
    clean, blind = (torch.tensor([row] * 3).log() for row in ([0.5, 0.25, 0.25], [0.25, 0.5, 0.25]))

    values = loss(clean, blind, share=1.0)

    assert values[0, 1].item() == pytest.approx(-math.log(2 / 5), rel=1e-6)
    assert values[0, 3].item() == pytest.approx(-math.log(2 / 5), rel=1e-6)
    assert values[1, 2].item() == pytest.approx(-math.log(1 / 5), rel=1e-6)
    assert not values[~CLEAN_MASK].any()


def test_loss_and_gradients_equal_cross_entropy_of_the_sum() -> None:
    stream = torch.Generator().manual_seed(0)
    clean = torch.randn(3, 5, generator=stream, dtype=torch.float64).requires_grad_()
    blind = torch.randn(3, 5, generator=stream, dtype=torch.float64).requires_grad_()
    plain = torch.nn.functional.cross_entropy(
        clean + 0.3 * blind.log_softmax(dim=-1).detach(), LABELS, reduction="none"
    )

    values = loss(clean, blind, share=0.3)

    torch.testing.assert_close(values[CLEAN_MASK], plain)
    torch.testing.assert_close(
        torch.autograd.grad(values.sum(), clean, retain_graph=True), torch.autograd.grad(plain.sum(), clean)
    )
    assert torch.autograd.grad(values.sum(), blind, allow_unused=True) == (None,)


def test_gradient_is_small_where_the_text_predicts_the_answer() -> None:
    clean = torch.zeros(3, 5, requires_grad=True)
    knowing = torch.zeros(3, 5).scatter(1, LABELS[:, None], 40.0)
    loss(clean, knowing, share=1.0).sum().backward()
    assert clean.grad.abs().max() < 1e-6


def test_needs_are_two_vocabularies_and_one_gradient() -> None:
    assert [(need.view, need.grad, need.vocabulary) for need in BlindResidual().needs] == [
        ("clean", True, True),
        ("blind", False, True),
    ]


def test_scores_without_vocabulary_raise_value_error() -> None:
    bare = Score(torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.long))
    with pytest.raises(ValueError, match="vocabulary"):
        BlindResidual().terms(Scores({("chosen", view, "policy"): bare for view in ("clean", "blind")}))


@pytest.mark.parametrize("share", [0, -0.5, 1.5])
def test_config_rejects_shares_outside_0_to_1(share) -> None:
    with pytest.raises(ValueError, match="share"):
        BlindResidual(share=share)
