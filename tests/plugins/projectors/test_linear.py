import torch

from spa3d_plugins.projectors.linear import Linear


def test_one_layer_per_token() -> None:
    projector = Linear(dim=2, hidden=3)
    projector.load_state_dict(
        {"layer.weight": torch.tensor([[1.0, 0], [0, 1], [1, 1]]), "layer.bias": torch.tensor([0.0, 0, 10])}
    )
    tokens = torch.tensor([[[1.0, 2], [3, 4]]])
    assert projector(tokens).tolist() == [[[1, 2, 13], [3, 4, 17]]]
    assert projector.num_tokens(513) == 513
