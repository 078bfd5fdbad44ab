import math

import pytest
import torch

from spa3d import create
from spa3d.contracts.objective import asks_for_pairs, asks_for_twins
from spa3d_plugins.objectives.twin_contrast import TwinContrast

LOGP = {
    ("chosen", "clean", "policy"): [-1.0, -1.0],
    ("rejected", "clean", "policy"): [-3.0, 0.0],
    ("chosen", "twin", "policy"): [-6.0, 0.0],
    ("rejected", "twin", "policy"): [-2.0, 0.0],
}
"""One minimal pair, and one sample without a twin."""


@pytest.fixture
def scores(make_scores):
    lengths = {key: torch.tensor([2, int(key[:2] == ("chosen", "clean"))]) for key in LOGP}
    return make_scores({key: (torch.tensor(logp, requires_grad=True), lengths[key]) for key, logp in LOGP.items()})


def test_loss_by_hand(scores) -> None:
    nll, twin_nll, contrast = TwinContrast(beta=0.5).terms(scores)

    assert (nll.unit, nll.coefficient) == (twin_nll.unit, twin_nll.coefficient) == ("token", 1)
    assert nll.values.tolist() == [[0, 1, 0], [0, 1, 0]]
    assert twin_nll.values.tolist() == [[0, 2, 0], [0, 0, 0]]
    # x: -1 over -3, x': -2 over -6, y: -1 over -6, y': -2 over -3; half of each.
    each = [math.log(1 + math.exp(-margin)) for margin in (1.0, 2.0, 2.5, 0.5)]
    assert (contrast.unit, contrast.coefficient) == ("sequence", 0.2)
    assert contrast.values.tolist() == [pytest.approx(sum(each) / 4, rel=1e-6), 0]


def test_contrast_gradient_raises_true_and_lowers_false_answers(scores) -> None:
    gradients = {}
    *_, contrast = TwinContrast().terms(scores)
    for key in LOGP:
        (gradients[key[:2]],) = torch.autograd.grad(contrast.values.sum(), scores[key].token_logp, retain_graph=True)
    assert all(not result[1].any() for result in gradients.values())
    assert {key for key, result in gradients.items() if result.sum() < 0} == {("chosen", "clean"), ("rejected", "twin")}
    assert {key for key, result in gradients.items() if result.sum() > 0} == {("rejected", "clean"), ("chosen", "twin")}


def test_control_scores_true_answers_only(scores) -> None:
    control = create("objective", "twin-nll")
    assert [need.key[:2] for need in control.needs] == [("chosen", "clean"), ("rejected", "twin")]
    assert [term.name for term in control.terms(scores)] == ["nll", "twin_nll"]
    assert len(TwinContrast().needs) == 4


@pytest.mark.parametrize("coefficient", [0, 0.2])
def test_needs_are_twins_and_not_pairs(coefficient) -> None:
    needs = TwinContrast(coefficient=coefficient).needs
    assert asks_for_twins(needs)
    assert not asks_for_pairs(needs)
