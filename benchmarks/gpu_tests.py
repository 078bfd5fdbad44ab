"""Run the tests marked `gpu` with pytest and pass on each result."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PATHS = (
    "tests/gpu/test_point_ops.py",
    "tests/plugins/ops/test_triton.py",
    "tests/gpu/test_noise.py",
    "tests/gpu/test_model.py",
    "tests/plugins/encoders/test_on_gpu.py",
    "tests/gpu/test_runs.py",
)
"""Test files in order: fast tests first, whole runs last."""
OPTIONS = (
    "--import-mode=importlib",
    "-o",
    "addopts=",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:terminal",
    "-m",
    "gpu",
    "--continue-on-collection-errors",
)
"""Options of pytest, without those of pyproject.toml, which need plugins that may be missing."""


class Recorder:
    """Plugin of pytest that passes on each test's result."""

    def __init__(self, keep: Callable[[dict[str, Any]], None]) -> None:
        self.keep = keep

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Pass on the result of a test's call, or of the phase that ended it early."""
        if report.when == "call" or report.outcome != "passed":
            self._record(report.nodeid.partition("tests/")[2] or report.nodeid, report, report.duration)

    def pytest_collectreport(self, report: Any) -> None:
        """Pass on a file that could not be collected."""
        if report.outcome == "failed":
            self._record(report.nodeid, report, 0.0)

    def _record(self, name: str, report: Any, seconds: float) -> None:
        row = {"name": name, "status": report.outcome, "seconds": round(seconds, 2)}
        text = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr or "")
        lines = text.splitlines()
        if report.outcome == "failed":
            row["error"] = next((line[1:].strip() for line in lines if line.startswith("E ")), (lines or [""])[-1])
            row["traceback"] = lines[-25:]
        elif report.outcome == "skipped":
            row["reason"] = text
        self.keep(row)


def run_tests(device: str, keep: Callable[[dict[str, Any]], None]) -> None:
    """Run the tests on `device`; without pytest keep one failed row."""
    if find_spec("pytest") is None:
        keep({"name": "pytest", "status": "failed", "error": "pytest missing"})
        return
    import pytest

    os.environ["SPA3D_TEST_DEVICE"] = device
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.chdir(ROOT)
    code = pytest.main([*OPTIONS, *PATHS], plugins=[Recorder(keep)])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        keep({"name": "pytest", "status": "failed", "error": f"pytest ended with {code!r}"})
