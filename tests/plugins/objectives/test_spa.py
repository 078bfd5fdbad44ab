import math

import pytest
import torch
from torch import Tensor

from spa3d.contracts.objective import Score, Scores
from spa3d_plugins.objectives.spa import SPA


def scores(clean: Tensor, noised: Tensor) -> Scores:
    """Scores of answers of two tokens behind a prompt token."""

    def score(logp: Tensor) -> Score:
        mask = torch.tensor([[False, True, True]]).expand(len(logp), -1)
        return Score(torch.nn.functional.pad(logp, (1, 0)), mask, torch.where(mask, 0, -1))

    return Scores({("chosen", "clean", "policy"): score(clean), ("chosen", "noised", "policy"): score(noised)})


def test_equation_5_by_hand() -> None:
    # log p(y|x) = -1 - 2, log p(y|x') = -1.5 - 2.5: margin 1; and the other way round: margin -1.
    clean, noised = torch.tensor([[-1.0, -2.0], [-1.5, -2.5]]), torch.tensor([[-1.5, -2.5], [-1.0, -2.0]])

    (term,) = SPA().terms(scores(clean, noised))

    assert term.unit == "sequence"
    assert term.coefficient == 1
    expected = [math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))]
    assert term.values.tolist() == pytest.approx(expected, rel=1e-6)


def test_equal_views_cost_log_two() -> None:
    same = torch.tensor([[-3.0, -1.0]])
    (term,) = SPA().terms(scores(same, same))
    assert term.values.item() == pytest.approx(math.log(2), rel=1e-6)


def test_a_better_answer_given_the_clean_cloud_costs_less() -> None:
    margins = torch.linspace(-5, 5, 21)
    clean = torch.stack([margins, torch.zeros(21)], dim=1)
    (term,) = SPA().terms(scores(clean, torch.zeros(21, 2)))
    assert (term.values.diff() < 0).all()


def test_huge_margins_stay_finite_and_exact() -> None:
    margins = torch.tensor([[1e4, 0.0], [-1e4, 0.0]], requires_grad=True)
    (term,) = SPA().terms(scores(margins, torch.zeros(2, 2)))
    assert term.values.tolist() == [0, 1e4]
    term.values.sum().backward()
    assert margins.grad.tolist() == [[0, 0], [-1, -1]]


def test_the_gradient_agrees_with_finite_differences_and_reaches_both_views() -> None:
    stream = torch.Generator().manual_seed(0)
    clean = torch.randn(4, 2, dtype=torch.float64, generator=stream).requires_grad_()
    noised = torch.randn(4, 2, dtype=torch.float64, generator=stream).requires_grad_()

    def loss(clean: Tensor, noised: Tensor) -> Tensor:
        return sum(
            term.coefficient * term.values.sum()
            for term in SPA(coefficient=0.3, anchor=0.7).terms(scores(clean, noised))
        )

    assert torch.autograd.gradcheck(loss, (clean, noised))


def test_the_anchor_is_the_token_loss_of_the_clean_view() -> None:
    clean, noised = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-4.0, -5.0]])
    contrast, anchor = SPA(coefficient=0.05, anchor=1.0).terms(scores(clean, noised))
    assert (contrast.name, contrast.unit, contrast.coefficient) == ("spa", "sequence", 0.05)
    assert (anchor.name, anchor.unit, anchor.coefficient) == ("nll", "token", 1.0)
    assert anchor.values.tolist() == [[0, 1, 2]]


def test_both_views_are_scored_with_gradient() -> None:
    assert [need.key for need in SPA().needs] == [("chosen", "clean", "policy"), ("chosen", "noised", "policy")]
    assert all(need.grad for need in SPA().needs)


@pytest.mark.parametrize("values", [{"coefficient": 0}, {"anchor": -1}, {"coefficient": float("nan")}, {"beta": 1}])
def test_values_that_make_no_sense_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        SPA(**values)
