from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spa3d import create, ops
from spa3d_plugins.encoders.pointbert import PointBERT

ATOL = 1e-4
"""Thirty times the float32 noise of the official code (3e-6); a neighbor too few moves the result by 6e-3 on."""

WITH_OUTPUTS = ["pointbert-pointllm", "pointbert-ulip", "pointbert-ulip2"]
STORED = {
    "group_feat": "encoder",
    "group_tokens": "reduce_dim",
    "pos": "pos_embed",
    "block0": "blocks.blocks.0",
    "tokens": "",
}
"""Stored name → module with that output; the last one is the encoder itself."""


def sphere(clouds: int, number: int, channels: int = 6) -> Tensor:
    points = torch.randn(clouds, number, channels, generator=torch.Generator().manual_seed(0))
    points[..., :3] = F.normalize(points[..., :3], dim=-1)
    return points


def small(**values: Any) -> PointBERT:
    torch.manual_seed(0)
    shape = {"width": 16, "heads": 2, "depth": 2, "groups": 8, "group_size": 8, "group_width": 8, "group_hidden": 4}
    return PointBERT(**{**shape, **values}).eval()


def results(encoder: nn.Module) -> dict[str, Tensor]:
    """Record the outputs named in `STORED`, for the first cloud of the latest forward."""
    result: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: result.update({name: output[0]})

    for name, module in STORED.items():
        encoder.get_submodule(module).register_forward_hook(keep(name))
    return result


def inputs_of(module: nn.Module) -> list[Tensor]:
    """Record the first argument of each later call of `module`."""
    seen: list[Tensor] = []
    module.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    return seen


@pytest.mark.parametrize("golden", WITH_OUTPUTS, indirect=True)
def test_outputs_equal_official_code(golden: Any, cloud: str, backend: str, request: pytest.FixtureRequest) -> None:
    with torch.device("meta"):  # initial weights are not needed
        encoder = create("encoder", request.node.callspec.params["golden"]).eval()
    encoder.load_state_dict(golden.weights(), assign=True)
    result, expected = results(encoder), golden.on(cloud)
    with torch.no_grad():
        final = encoder.pool(expected.points)[0]

    stored = [name for name in STORED if any(key.startswith(name) for key in expected.arrays)]
    assert set(STORED) - {"tokens"} <= set(stored)
    for name in stored:
        expected.check(name, result[name], ATOL)
    expected.check("final", final, ATOL)


@pytest.mark.parametrize("golden", WITH_OUTPUTS, indirect=True)
def test_indices_equal_official_code(golden: Any, cloud: str, backend: str, request: pytest.FixtureRequest) -> None:
    expected = golden.on(cloud)
    xyz = expected.points[..., :3]
    compat = None if request.node.callspec.params["golden"] == "pointbert-pointllm" else "pointnet2"
    index = ops.farthest_point_sample(xyz, 512, compat=compat)
    centers = ops.group(xyz, index)
    expected.check_indices("fps_idx_1", index[0])
    expected.check_indices("knn_idx_1", ops.knn(centers, xyz, 32)[0], ordered=False)
    if "centers" in expected.arrays:
        assert torch.equal(centers[0], torch.from_numpy(expected.arrays["centers"]))


def test_the_published_shape() -> None:
    with torch.device("meta"):
        encoder, wide = PointBERT(), create("encoder", "pointbert-pointllm-v11")
    assert (encoder.inputs, encoder.channels, encoder.dim, encoder.min_points) == (("xyz", "rgb"), 6, 384, 512)
    assert [encoder.num_tokens(number) for number in (512, 8192)] == [513, 513]
    assert encoder(torch.empty(2, 777, 6, device="meta")).shape == (2, 513, 384)
    assert encoder.eval().pool(torch.empty(2, 8192, 6, device="meta")).shape == (2, 768)
    assert wide(torch.empty(1, 601, 6, device="meta")).shape == (1, 513, 1152)


def test_published_shape_with_fewer_distinct_points_than_centers() -> None:
    encoder = create("encoder", "pointbert-ulip", depth=1).eval()
    cloud = torch.zeros(3, 600, 3)
    cloud[0] = sphere(1, 300, 3).repeat(1, 2, 1)  # each point twice: 300 centers, and the first one for the others
    cloud[1, :, 0] = torch.linspace(-1, 1, 600)  # all but those near the origin are candidates
    seen = inputs_of(encoder.pos_embed)
    with torch.no_grad():
        assert encoder(cloud).isfinite().all()
    assert [len(centers.unique(dim=0)) for centers in seen[0]] == [300, 512, 1]


def test_ulip_sampling_breaks_ties_by_the_lowest_thread() -> None:
    # Six points on four threads: 0 and 4 on the first, 1 and 5 on the second. Points 1 and 4 are equally far.
    cloud = torch.tensor([[[1.0, 0, 0], [-1, 1, 0], [1, 0.1, 0], [1, -0.1, 0], [-1, -1, 0], [1, 0, 0.1]]])
    for fps, order in (("plain", [0, 1, 4]), ("pointnet2", [0, 4, 1])):
        encoder = small(inputs=("xyz",), groups=3, group_size=2, fps=fps)
        seen = inputs_of(encoder.pos_embed)
        encoder(cloud)
        assert torch.equal(seen[0][0], cloud[0, order])


def test_ulip_sampling_repeats_points_when_none_are_left() -> None:
    # 700 points, 512 threads: 0 and all but three lie in the middle; 600 is the second one of thread 88.
    cloud = torch.zeros(1, 700, 3)
    cloud[0, [100, 300, 600], 0] = torch.tensor([1.0, -0.5, 0.3])
    encoder = create("encoder", "pointbert-ulip", depth=1, groups=5).eval()
    seen = inputs_of(encoder.pos_embed)
    with torch.no_grad():
        encoder(cloud)
    assert seen[0][0, :, 0].tolist() == pytest.approx([0, 1, -0.5, 0.3, 0.3])


@pytest.mark.parametrize("number", [8, 9, 100, 128])
@pytest.mark.parametrize("inputs", [("xyz",), ("xyz", "rgb")])
def test_num_tokens_equals_tokens_of_forward(number: int, inputs: Any) -> None:
    encoder = small(inputs=inputs)
    tokens = encoder(sphere(2, number, encoder.channels))
    assert tokens.shape == (2, encoder.num_tokens(number), encoder.dim) == (2, 9, 16)
    assert tokens.isfinite().all()


@pytest.mark.parametrize(("groups", "group_size"), [(8, 20), (20, 8)])
def test_min_points_covers_groups_and_group_size(groups: int, group_size: int) -> None:
    encoder = small(groups=groups, group_size=group_size)
    assert encoder.min_points == 20
    assert encoder(sphere(2, 20)).shape == (2, groups + 1, 16)


def test_pool_is_class_token_and_maximum_of_groups() -> None:
    encoder, points = small(), sphere(2, 200)
    with torch.no_grad():
        tokens, pooled = encoder(points), encoder.pool(points)
    assert torch.equal(pooled, torch.cat([tokens[:, 0], tokens[:, 1:].max(dim=1).values], dim=1))


def test_translation_changes_positions_only() -> None:
    encoder, points = small(), sphere(1, 200)
    groups = inputs_of(encoder.encoder)
    with torch.no_grad():
        encoder(points)
        encoder(points + torch.tensor([4.0, 0, 0, 0, 0, 0]))
    torch.testing.assert_close(groups[0], groups[1], atol=1e-5, rtol=0)
    assert (groups[0][..., :3].norm(dim=-1).amin(dim=2) == 0).all()  # a center belongs to its group


def plain(encoder: nn.Module, groups: Tensor) -> Tensor:
    """The published group encoder: channel-first, every product in full width."""

    def layers(x: Tensor, first: Any, norm: nn.BatchNorm1d, _: nn.Module, second: Any) -> Tensor:
        return F.conv1d(F.relu(norm(F.conv1d(x, first.weight, first.bias))), second.weight, second.bias)

    local = layers(groups.flatten(0, 1).mT, *encoder.first_conv)
    whole = local.max(dim=2, keepdim=True).values.expand_as(local)
    both = layers(torch.cat([whole, local], dim=1), *encoder.second_conv)
    return both.max(dim=2).values.unflatten(0, groups.shape[:2])


@pytest.mark.parametrize("training", [True, False])
def test_merged_products_equal_published_group_encoder(training: bool) -> None:
    ours, theirs = small(group_hidden=32).encoder, small(group_hidden=32).encoder
    for encoder in (ours, theirs):
        encoder.second_conv[1].running_var.fill_(0.5)
        encoder.train(training)
    groups = torch.randn(4, 50, 16, 6)
    result, expected_tokens = ours(groups), plain(theirs, groups)
    torch.testing.assert_close(result, expected_tokens, atol=1e-5, rtol=1e-5)
    result.square().mean().backward()
    expected_tokens.square().mean().backward()
    for (name, value), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(
            value.grad, other.grad, atol=1e-6, rtol=1e-4, msg=lambda text, n=name: f"{n}: {text}"
        )
    for (name, value), other in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(value, other, msg=name)


def test_drop_path_in_training_only() -> None:
    encoder, points = small(depth=3, drop_path=0.8), sphere(8, 64)
    assert [block.drop_path.drop_prob for block in encoder.blocks.blocks] == pytest.approx([0, 0.4, 0.8])
    blocks, tokens = encoder.blocks, torch.randn(8, 9, 16)
    with torch.no_grad():
        assert torch.equal(encoder(points), encoder(points))
        assert not torch.equal(blocks.train()(tokens, tokens), blocks(tokens, tokens))


def test_random_start_draws_a_new_start_in_each_call() -> None:
    points = sphere(4, 200)
    usual, other = small(), small(random_start=True)
    with torch.no_grad():
        state = torch.random.get_rng_state()
        assert torch.equal(usual(points), usual(points))
        assert torch.equal(torch.random.get_rng_state(), state)
        seen = inputs_of(other.pos_embed)
        torch.manual_seed(1)
        first, second = other(points), other(points)
        torch.manual_seed(1)
        assert torch.equal(other(points), first)
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    start = torch.randint(200, (4,))
    assert torch.equal(seen[0][:, 0], points[torch.arange(4), start, :3])
    assert len(start.unique()) > 1


def test_under_autocast_positions_stay_exact() -> None:
    encoder, points = small(), sphere(2, 200)
    seen = inputs_of(encoder.pos_embed)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        tokens = encoder(points)
    assert seen[0].dtype == torch.float32
    assert torch.equal(seen[0], ops.group(points[..., :3], ops.farthest_point_sample(points[..., :3], 8)))
    with torch.no_grad():
        torch.testing.assert_close(tokens.float(), encoder(points), atol=0.1, rtol=0.1)


def test_a_half_precision_module_groups_in_full_precision() -> None:
    encoder, points = small(), sphere(2, 200)
    groups = inputs_of(encoder.encoder)
    with torch.no_grad():
        encoder(points)
        tokens = encoder.to(torch.bfloat16)(points)
    assert tokens.dtype == torch.bfloat16
    assert torch.equal(groups[1], groups[0].to(torch.bfloat16))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"heads": 7}, "heads must divide the width 384, got 7"),
        ({"depth": 0}, "depth"),
        ({"groups": 0}, "groups"),
        ({"drop_path": 1}, "drop_path"),
        ({"fps": "random"}, "fps"),
        ({"nsample": 3}, "nsample"),
    ],
)
def test_config_rejects_inconsistent_shapes(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PointBERT(**values)
