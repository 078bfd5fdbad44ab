import math

import pytest
import torch

from spa3d_plugins.projectors.mlp import MLP


def test_the_default_is_the_published_projector() -> None:
    with torch.device("meta"):
        projector = MLP(dim=384, hidden=4096)
    assert {name: tuple(value.shape) for name, value in projector.state_dict().items()} == {
        "layers.0.weight": (1024, 384),
        "layers.0.bias": (1024,),
        "layers.2.weight": (2048, 1024),
        "layers.2.bias": (2048,),
        "layers.4.weight": (4096, 2048),
        "layers.4.bias": (4096,),
    }
    assert projector.num_tokens(513) == 513


def test_exact_gelu_between_the_layers_and_none_behind() -> None:
    projector = MLP(dim=1, hidden=1, widths=(1,))
    for layer, weight in ((projector.layers[0], 1.0), (projector.layers[2], 2.0)):
        torch.nn.init.constant_(layer.weight, weight)
        torch.nn.init.zeros_(layer.bias)
    value = -0.7
    expected = 2 * value * 0.5 * (1 + math.erf(value / math.sqrt(2)))
    assert projector(torch.tensor([[[value]]])).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("widths", [(), (0,), (128, -1)])
def test_config_rejects_missing_and_zero_widths(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="widths"):
        MLP(dim=4, hidden=4, widths=widths)
