"""The Triton kernels: interpreted, compiled without a GPU, and run on a GPU if there is one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spa3d_plugins.ops.torch import TorchOps

triton = pytest.importorskip("triton", reason="pip install triton")

from spa3d_plugins.ops import triton as backend  # noqa: E402 - after the skip

TESTS = Path(__file__).parents[2]
HOPPER = triton.backends.compiler.GPUTarget("cuda", 90, 32)
FLOATS, INDICES, NUMBER = "*fp32", "*i64", "i32"
SEARCH = {"query": FLOATS, "planes": FLOATS, "queries": NUMBER, "points": NUMBER, "indices": INDICES}
FPS = {"planes": FLOATS, "start": INDICES, "chosen": INDICES}
SIZES = {"points": NUMBER, "count": NUMBER}

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def run_interpreted(*arguments: str) -> str:
    """Run pytest under Triton's interpreter in a separate process; return its output."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    ran = subprocess.run(
        command, cwd=TESTS.parent, env={**environment, "TRITON_INTERPRET": "1"}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_interpreted_kernels_equal_the_reference() -> None:
    assert re.search(r"\d+ passed", run_interpreted(str(Path(__file__).with_name("interpreted_triton.py"))))


@pytest.mark.slow
def test_interpreted_kernels_have_the_shared_properties() -> None:
    output = run_interpreted(
        str(TESTS / "core" / "ops" / "test_functional.py"), "-k", "[triton] and (ties or sorts or balls or sphere)"
    )
    assert re.search(r"\b[4-9] passed", output), output


@pytest.mark.slow
def test_interpreted_kernels_pass_the_shared_suite() -> None:
    output = run_interpreted(str(TESTS / "core" / "ops" / "test_functional.py"), "-k", "[triton]")
    assert "passed" in output
    assert "skipped" not in output


def test_devices_without_the_interpreter_are_cuda_only() -> None:
    assert backend.TritonOps.devices == ("cuda",)


@pytest.mark.parametrize(
    ("kernel", "types", "constants", "warps"),
    [
        (backend._fps, {**FPS, **SIZES}, {"tile": 8192}, 16),
        (backend._fps_large, {**FPS, "nearest": FLOATS, **SIZES}, {"tile": backend.LARGE_TILE}, 16),
        (backend._knn, {**SEARCH, "k": NUMBER}, {"rows": 4, "slots": 32, "tile": 512}, 4),
        (
            backend._ball_query,
            {**SEARCH, "limit": "fp32", "nsample": NUMBER},
            {"closed": True, "rows": 8, "slots": 32, "tile": 128},
            4,
        ),
    ],
    ids=["fps", "fps-large", "knn", "ball-query"],
)
def test_compiled_kernels_have_no_fused_operations_and_no_flushing(
    kernel: object, types: dict[str, str], constants: dict[str, int], warps: int
) -> None:
    names = kernel.arg_names
    source = triton.compiler.ASTSource(
        fn=kernel,
        signature={name: types.get(name, "constexpr") for name in names},
        constexprs={(names.index(name),): value for name, value in constants.items()},
    )
    compiled = triton.compile(source, target=HOPPER, options=backend._options(warps))
    assert len(compiled.asm["cubin"]) > 0
    assert re.search(r"mul(\.rn)?\.f32", compiled.asm["ptx"])
    assert not re.search(r"fma\.\w+\.f32|\.ftz|\.approx", compiled.asm["ptx"])
    assert not compiled.metadata.enable_fp_fusion  # else ptxas would fuse by itself


@gpu
@pytest.mark.gpu
@pytest.mark.parametrize("batch", [1, 8, 128])
def test_gpu_results_equal_the_reference(batch: int) -> None:
    xyz = torch.randn(batch, 8192, 3, generator=torch.Generator().manual_seed(batch)).cuda()
    xyz[:, 4000:4100] = xyz[:, :100]  # equal points
    start = torch.arange(batch, device="cuda")
    centers = backend.TritonOps().fps(xyz, 512, start)
    assert torch.equal(centers, TorchOps().fps(xyz, 512, start))
    query = xyz.gather(1, centers[..., None].expand(-1, -1, 3))
    assert torch.equal(backend.TritonOps().knn(query, xyz, 32), TorchOps().knn(query, xyz, 32))
    for closed in (True, False):
        indices = backend.TritonOps().ball_query(query, xyz, 0.2, 32, closed=closed)
        assert torch.equal(indices, TorchOps().ball_query(query, xyz, 0.2, 32, closed=closed))


@gpu
@pytest.mark.gpu
@pytest.mark.parametrize("points", [10000, 32768])
def test_gpu_results_equal_the_reference_beyond_registers(points: int) -> None:
    xyz = torch.randn(4, points, 3, generator=torch.Generator().manual_seed(0)).cuda()
    start = torch.tensor([0, 1, 2, points - 1], device="cuda")
    assert torch.equal(backend.TritonOps().fps(xyz, 1024, start), TorchOps().fps(xyz, 1024, start))
