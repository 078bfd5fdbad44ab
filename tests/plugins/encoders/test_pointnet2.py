from typing import Any

import pytest
import torch
from torch import Tensor

import spa3d_plugins.encoders.pointnet2 as module
from spa3d import create, ops
from spa3d_plugins.encoders.pointnet2 import PointNet2

ATOL = 2e-4
"""Over ten times the float32 noise of the official code (1.1e-5); a radius of 0.201 for 0.2 moves it by 0.04."""


def sphere(clouds: int, number: int, channels: int = 3) -> Tensor:
    points = torch.randn(clouds, number, channels, generator=torch.Generator().manual_seed(0))
    points[..., :3] = torch.nn.functional.normalize(points[..., :3], dim=-1)
    return points


def small(**values: Any) -> PointNet2:
    torch.manual_seed(0)
    shape = {"centers": (24, 8), "nsample": (8, 8), "radius": (0.5, 1), "widths": ((8, 16), (32,)), "last": (16, 24)}
    return PointNet2(**{**shape, "head": (16,), **values}).eval()


@pytest.mark.parametrize("golden", ["pointnet2-ulip"], indirect=True)
def test_outputs_equal_official_code(golden: Any, cloud: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = create("encoder", "pointnet2-ulip").eval()
    encoder.load_state_dict(golden.weights())
    stages: list[tuple[Tensor, Tensor]] = []
    abstracted = module.abstract_sets

    def watch(cloud: Any, centers: Tensor, *rest: Any, **values: Any) -> Tensor:
        features = abstracted(cloud, centers, *rest, **values)
        stages.append((centers[0], features[0].relu()))
        return features

    monkeypatch.setattr(module, "abstract_sets", watch)
    expected = golden.on(cloud)
    with torch.no_grad():
        final = encoder.pool(expected.points)[0]
        tokens = encoder(expected.points)[0]
        encoder.config = encoder.Config(tokens="prepool")
        prepool = encoder(expected.points)[0]

    for number, (xyz, features) in enumerate(stages[:2], start=1):
        expected.check(f"sa{number}_feat", features, ATOL)
        if cloud == "C":
            expected.check(f"sa{number}_xyz", xyz, atol=0, rtol=0)
    expected.check("sa2_feat", tokens, ATOL)
    expected.check("sa3_prepool", prepool, ATOL)
    expected.check("sa3_pooled", prepool.amax(dim=0), ATOL)
    expected.check("final", final, ATOL)


@pytest.mark.parametrize("golden", ["pointnet2-ulip"], indirect=True)
def test_indices_equal_official_code(golden: Any, cloud: str, backend: str) -> None:
    expected = golden.on(cloud)
    xyz = expected.points
    index = ops.farthest_point_sample(xyz, 512)
    centers = ops.group(xyz, index)
    expected.check_indices("fps_idx_1", index[0])
    expected.check_indices("ball_idx_1", ops.ball_query(centers, xyz, 0.2, 32, closed=True)[0])
    if cloud == "C":
        expected.check_indices("fps_idx_2", ops.farthest_point_sample(centers, 128)[0])


def test_the_published_shape() -> None:
    with torch.device("meta"):
        encoder, wide = PointNet2(), PointNet2(tokens="prepool")
    assert sum(value.numel() for value in encoder.parameters()) == 1_465_408
    assert (encoder.inputs, encoder.channels, encoder.dim, encoder.min_points) == (("xyz",), 3, 256, 512)
    assert [encoder.num_tokens(number) for number in (8192, 512)] == [128, 128]
    assert encoder(torch.empty(2, 8192, 3, device="meta")).shape == (2, 128, 256)
    assert wide(torch.empty(2, 8192, 3, device="meta")).shape == (2, 128, wide.dim) == (2, 128, 1024)
    assert encoder.eval().pool(torch.empty(2, 8192, 3, device="meta")).shape == (2, 256)


def plain(encoder: PointNet2, points: Tensor) -> Tensor:
    """The pooled feature by the paper's formula, group by group."""

    def layers(stage: Any, x: Tensor) -> Tensor:
        for conv, norm in zip(stage.mlp_convs, stage.mlp_bns, strict=True):
            y = torch.einsum("...i,oi->...o", x, conv.weight.flatten(1)) + conv.bias
            over = tuple(range(y.dim() - 1))
            if encoder.training:
                mean, variance = y.mean(over), y.var(over, unbiased=False)
            else:
                mean, variance = norm.running_mean, norm.running_var
            x = ((y - mean) / (variance + norm.eps).sqrt() * norm.weight + norm.bias).clamp(min=0)
        return x

    xyz, features = points[..., :3], points[..., 3:]
    rows = torch.arange(len(points))[:, None]
    for number in (0, 1):
        count, radius, places = (getattr(encoder.config, name)[number] for name in ("centers", "radius", "nsample"))
        centers = xyz[rows, ops.farthest_point_sample(xyz, count)]
        ball = ops.ball_query(centers, xyz, radius, places, closed=True)
        offsets = xyz[rows[..., None], ball] - centers[:, :, None]
        groups = torch.cat([offsets, features[rows[..., None], ball]], dim=-1)
        xyz, features = centers, layers(encoder.get_submodule(f"sa{number + 1}"), groups).amax(dim=2)
    pooled = layers(encoder.sa3, torch.cat([xyz, features], dim=-1)).amax(dim=1)
    return encoder.bn1(encoder.fc1(pooled)).clamp(min=0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("inputs", [("xyz",), ("xyz", "rgb")])
def test_outputs_equal_formula_of_the_paper(inputs: tuple[str, ...], training: bool) -> None:
    encoder = small(inputs=inputs, dropout=0)
    points = sphere(3, 300, encoder.channels)
    encoder.train().pool(points)  # statistics that differ from those of new normalizations
    encoder.train(training)
    with torch.no_grad():
        expected = plain(encoder, points)
        torch.testing.assert_close(encoder.pool(points), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("number", [24, 25, 100, 3000])
def test_num_tokens_equals_tokens_of_forward(number: int) -> None:
    encoder = small()
    tokens = encoder(sphere(2, number))
    assert tokens.shape == (2, encoder.num_tokens(number), encoder.dim) == (2, 8, 32)
    assert tokens.isfinite().all()


def test_any_number_of_set_abstractions() -> None:
    one = small(centers=(16,), radius=(0.5,), nsample=(8,), widths=((8,),))
    three = small(centers=(32, 16, 8), radius=(0.3, 0.5, 1), nsample=(8, 8, 8), widths=((8,), (8,), (12,)))
    assert one(sphere(1, 100)).shape == (1, 16, 8)
    assert three(sphere(1, 100)).shape == (1, 8, 12)
    assert three.pool(sphere(1, 100)).shape == (1, 16)


@pytest.mark.parametrize("points", [torch.zeros(1, 600, 3), torch.linspace(-1, 1, 600)[None, :, None].repeat(1, 1, 3)])
def test_identical_and_collinear_points_give_finite_tokens(points: Tensor) -> None:
    encoder = small()
    with torch.no_grad():
        torch.testing.assert_close(encoder.pool(points), plain(encoder, points), atol=1e-5, rtol=1e-4)


def test_under_autocast_positions_stay_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, points = small(), sphere(2, 200)
    seen: list[Tensor] = []
    abstracted = module.abstract_sets
    monkeypatch.setattr(module, "abstract_sets", lambda *a, **k: (seen.append(a[1]), abstracted(*a, **k))[1])
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        tokens = encoder(points)
    assert seen[1].dtype == torch.float32
    assert torch.equal(seen[1], ops.group(points, ops.farthest_point_sample(points, 8)))
    with torch.no_grad():
        torch.testing.assert_close(tokens.float(), encoder(points), atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"centers": (512,)}, "needs one value of each; there are centers 1, radius 2, nsample 2, widths 2"),
        ({"centers": (128, 512)}, "must not increase"),
        ({"centers": ()}, "centers"),
        ({"radius": (0.2, 0)}, "radius"),
        ({"widths": ((64,), ())}, "widths"),
        ({"dropout": 1}, "dropout"),
        ({"depth": 3}, "depth"),
    ],
)
def test_config_rejects_inconsistent_shapes(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PointNet2(**values)
