import torch

from spa3d.contracts.objective import Need
from spa3d_plugins.objectives.preference import add_reference_needs, difference, preference_loss

INF = float("inf")


def test_difference_of_equal_infinities_is_0_without_gradient() -> None:
    better = torch.tensor([-INF, -INF, 2.0, 2.0], requires_grad=True)
    worse = torch.tensor([-INF, 1.0, -INF, 2.0], requires_grad=True)

    result = difference(better, worse)

    assert result.tolist() == [0, -INF, INF, 0]
    preference_loss(result, torch.ones(4, dtype=torch.bool)).sum().backward()
    assert better.grad.tolist() == [0, -1, 0, -0.5]
    assert worse.grad.tolist() == [0, 1, 0, 0.5]


def test_preference_loss_is_exact_for_any_margin() -> None:
    margins = torch.tensor([1e4, -1e4, -1e30], requires_grad=True)
    loss = preference_loss(margins, torch.ones(3, dtype=torch.bool))
    assert loss.tolist() == torch.tensor([0, 1e4, 1e30]).tolist()
    loss.sum().backward()
    assert margins.grad.tolist() == [0, -1, -1]


def test_preference_loss_is_0_without_gradient_where_not_present() -> None:
    margins = torch.tensor([-INF, 3.0], requires_grad=True)
    loss = preference_loss(margins, torch.tensor([False, False]))
    loss.sum().backward()
    assert loss.tolist() == [0, 0]
    assert margins.grad.tolist() == [0, 0]


def test_add_reference_needs_adds_the_same_needs_without_gradient() -> None:
    policy, reference = add_reference_needs(Need("chosen", "noised"))
    assert policy.grad
    assert (reference.text, reference.view, reference.model, reference.grad) == ("chosen", "noised", "reference", False)
