"""Encoders on a GPU give the outputs of the official code, with the CPU's tolerances."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spa3d import create, ops

pytestmark = pytest.mark.gpu

ATOL = {
    "pointbert-pointllm": 1e-4,
    "pointbert-ulip": 1e-4,
    "pointbert-ulip2": 1e-4,
    "pointnext-ulip": 5e-4,
    "pointmlp-ulip": 5e-4,
    "pointnet2-ulip": 2e-4,
}
"""As in the encoders' own tests: many times the float32 noise, a fraction of what one wrong neighbor changes."""
TOKENS = {"pointnext-ulip": "stage4_feat", "pointmlp-ulip": "stage4_feat", "pointnet2-ulip": "sa2_feat"}
"""Names under which the tokens are stored, where they differ from ``tokens``."""


@pytest.mark.parametrize("cloud", ["A", "B", "C"])
@pytest.mark.parametrize("golden", ATOL, indirect=True)
def test_outputs_equal_official_code(
    golden: Any, cloud: str, accelerator: torch.device, request: pytest.FixtureRequest
) -> None:
    preset = request.node.callspec.params["golden"]
    encoder = create("encoder", preset).eval()
    encoder.load_state_dict(golden.weights())
    encoder.to(accelerator)
    expected = golden.on(cloud)
    points = expected.points.to(accelerator)
    with torch.no_grad():
        final, tokens = encoder.pool(points)[0], encoder(points)[0]
    expected.check("final", final.cpu(), ATOL[preset])
    name = TOKENS.get(preset, "tokens")
    if any(key.startswith(name) for key in expected.arrays):
        expected.check(name, tokens.cpu(), ATOL[preset])


@pytest.mark.parametrize("cloud", ["A", "B", "C"])
@pytest.mark.parametrize("golden", ["pointbert-pointllm", "pointnext-ulip", "pointnet2-ulip"], indirect=True)
def test_first_indices_equal_official_code(
    golden: Any, cloud: str, accelerator: torch.device, request: pytest.FixtureRequest
) -> None:
    expected = golden.on(cloud)
    xyz = expected.points[..., :3].to(accelerator)
    count = xyz.shape[1] // 2 if "pointnext" in request.node.callspec.params["golden"] else 512
    expected.check_indices("fps_idx_1", ops.farthest_point_sample(xyz, count)[0].cpu())


@pytest.mark.parametrize("preset", ATOL)
def test_under_autocast_coordinates_and_choices_stay_exact(preset: str, accelerator: torch.device) -> None:
    torch.manual_seed(0)
    encoder = create("encoder", preset).eval().to(accelerator)
    points = torch.rand(2, 1024, encoder.channels, generator=torch.Generator().manual_seed(1)).to(accelerator)
    with torch.no_grad():
        plain = encoder(points).float()
        with torch.autocast(accelerator.type, torch.bfloat16):
            rounded = encoder(points).float()
    assert bool(rounded.isfinite().all())
    # Sampling from rounded coordinates would change whole groups; rounding alone changes tokens by a few percent.
    assert float((plain - rounded).norm() / plain.norm()) < 0.05
