"""Weights with NaN or infinity are found and named."""

from __future__ import annotations

import torch
from torch import nn

from spa3d.model.finite import not_finite_weights


def test_not_finite_weights_names_the_parameters() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert not_finite_weights(model) == []
    with torch.no_grad():
        model[0].bias[1] = float("inf")
        model[1].weight[0, 0] = float("nan")
    assert not_finite_weights(model) == ["0.bias", "1.weight"]
    assert not_finite_weights(nn.ReLU()) == []
