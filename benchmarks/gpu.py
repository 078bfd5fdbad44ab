"""Measure the library on a GPU: point operations, encoders, LLM steps, GPU-marked tests.

    make gpu                                    # sets up the environment first
    make gpu PYTHON=python3 SETUP=no            # the given interpreter, files of the repository only
    make gpu GPU=ops,step                       # only these parts
    python benchmarks/gpu.py --device cpu --tiny  # a rehearsal without a GPU

Each part runs in a separate process with a time limit. A part that fails is recorded, and the others still run. The
results are written after every case, so that a killed run keeps them. Exit code: 0 if everything passed, 1 if something
failed, 2 without a GPU.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
Case = tuple[str, Callable[[], dict[str, Any]]]
PARTS = {"machine": 40, "ops": 70, "encoders": 50, "step": 110, "tests": 170}
"""Parts in order, with their time limits in seconds; a larger ``--limit`` scales them."""
LIMIT = 360
"""Seconds for all parts together."""
MODULES = {"ops": "gpu_ops", "encoders": "gpu_encoders", "step": "gpu_step", "tests": "gpu_tests"}
PACKAGES = (
    "torch",
    "transformers",
    "triton",
    "numpy",
    "accelerate",
    "peft",
    "timm",
    "pydantic",
    "tokenizers",
    "pytest",
)
SHOWN = 110
"""Characters of an error in the table; the file has more."""


def machine_cases(device: str, tiny: bool) -> Iterator[Case]:
    """Cases: versions, device, and the backends of the point operations."""
    yield "versions", versions
    yield "device", lambda: describe_device(device)
    for name in ("auto", "triton", "torch"):
        yield f"ops {name}", lambda name=name: check_backend(name, device)


def versions() -> dict[str, Any]:
    """Versions of Python and of the packages in ``PACKAGES``; None where one is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    installed: dict[str, Any] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = None
    return installed


def describe_device(device: str) -> dict[str, Any]:
    """Name (`is`), memory and number of the devices."""
    import torch

    if device == "cpu":
        return {"device": "cpu", "is": platform.machine(), "count": 1}
    free, whole = torch.cuda.mem_get_info()
    return {
        "device": "cuda",
        "is": torch.cuda.get_device_name(),
        "capability": ".".join(map(str, torch.cuda.get_device_capability())),
        "count": torch.cuda.device_count(),
        "memory_gib": round(whole / 2**30, 1),
        "free_gib": round(free / 2**30, 1),
        "cuda": torch.version.cuda,
        "matmul_tf32": torch.backends.cuda.matmul.allow_tf32,
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
    }


def check_backend(name: str, device: str) -> dict[str, Any]:
    """Verify a backend of the point operations against the reference."""
    from spa3d import create
    from spa3d.ops.selection import default_backend
    from spa3d.ops.verification import verify_backend
    from spa3d.registry.registry import load_registry

    backend = default_backend(device) if name == "auto" else create("ops", name)
    return {"backend": type(backend).__name__, "agrees on": verify_backend(backend, load_registry())}


def measure(part: str, device: str, tiny: bool, into: Path) -> None:
    """Run the cases of a part and write the file `into` after each."""
    rows: list[dict[str, Any]] = []

    def keep(row: dict[str, Any]) -> None:
        rows.append(row)
        write_json(into, rows)
        print(row_line(part, row), flush=True)

    try:
        if part == "tests":
            importlib.import_module(MODULES[part]).run_tests(device, keep)
            return
        cases = machine_cases if part == "machine" else importlib.import_module(MODULES[part]).cases
        for name, call in cases(device, tiny):
            keep(attempt(name, call))
    except Exception as error:
        keep(failure(part, error))


def attempt(name: str, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run one case; return its figures, or a row with its error."""
    start = time.perf_counter()
    try:
        figures = call()
    except Exception as error:
        return failure(name, error)
    status = figures.pop("status", "passed")
    return {"name": name, "status": status, "seconds": round(time.perf_counter() - start, 2), **figures}


def failure(name: str, error: Exception) -> dict[str, Any]:
    """Make a row from an error: its first line and the end of its traceback."""
    first = (str(error).strip().splitlines() or [""])[0]
    tail = "".join(traceback.format_exception(error)).splitlines()[-12:]
    return {"name": name, "status": "failed", "error": f"{type(error).__name__}: {first}", "traceback": tail}


def run_part(part: str, device: str, tiny: bool, limit: float) -> dict[str, Any]:
    """Run one part in a separate process; stop it and its children after `limit` seconds."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        into, log = Path(folder) / "rows.json", Path(folder) / "log.txt"
        command = [sys.executable, __file__, "--measure", part, "--into", str(into), "--device", device]
        with log.open("w", encoding="utf-8") as errors:
            child = subprocess.Popen(
                [*command, *(["--tiny"] if tiny else [])], cwd=ROOT, stderr=errors, start_new_session=True
            )
            code = wait(child, limit)
        rows = json.loads(into.read_text(encoding="utf-8")) if into.exists() else []
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
    result: dict[str, Any] = {"seconds": round(time.monotonic() - start, 1), "cases": rows}
    bad = [row for row in rows if row["status"] == "failed"]
    if code is None:
        return {"status": "stopped", "error": f"stopped after {limit:.0f} s", "log": tail, **result}
    if code or not rows:
        return {"status": "failed", "error": f"the process ended with {code}", "log": tail, **result}
    return {"status": "failed" if bad else "passed", **result}


def wait(child: subprocess.Popen[bytes], limit: float) -> int | None:
    """Wait for `child`, return its exit code.

    After `limit` seconds its process group is killed and the result is None.
    """
    try:
        return child.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def row_line(part: str, row: dict[str, Any]) -> str:
    """Format one line of the table."""
    hidden = ("name", "status", "traceback", "seconds")
    figures = ", ".join(f"{key} {value}" for key, value in row.items() if key not in hidden)
    return f"{part:<9}{row['status']:<8}{row['name']:<44}{figures[:SHOWN]}".rstrip()


def summary(results: dict[str, Any]) -> str:
    """Format one line per part."""
    lines = []
    for part, result in results["parts"].items():
        counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
        for row in result["cases"]:
            counts[row["status"]] = counts.get(row["status"], 0) + 1
        numbers = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        line = f"{part:<9}{result['status']:<8}{result['seconds']:>6.0f} s  {numbers}"
        lines.append(f"{line}  {result.get('error', '')}".rstrip())
    return "\n".join(lines)


def write_json(path: Path, value: object) -> None:
    """Write `value` atomically: readers see the old or the new file."""
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")
    beside.replace(path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "gpu-results.json", help="JSON file")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}; machine always runs")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a rehearsal, with --tiny")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to see that the code runs")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for all parts together")
    parser.add_argument("--measure", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = sorted({*options.parts.split(",")} - {*PARTS})
    if unknown:
        parser.exit(2, f"benchmarks/gpu.py: no part {', '.join(unknown)}; there are {', '.join(PARTS)}\n")
    return options


def find_gpu_error() -> str:
    """Reason why no GPU can be used here; empty if one can."""
    try:
        import torch
    except ImportError as error:
        return f"{sys.executable} cannot import torch ({error})"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no CUDA device"
    return ""


def main() -> int:
    """Run the parts and return the exit code."""
    options = arguments()
    if options.measure:
        measure(options.measure, options.device, options.tiny, options.into)
        return 0
    error = find_gpu_error() if options.device == "cuda" else ""
    if error:
        print(
            f"benchmarks/gpu.py: {error}, so nothing was measured; run it where nvidia-smi shows a GPU", file=sys.stderr
        )
        return 2
    chosen = [part for part in PARTS if part == "machine" or part in options.parts.split(",")]
    end = time.monotonic() + options.limit
    results: dict[str, Any] = {"device": options.device, "tiny": options.tiny, "parts": {}}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    for part in chosen:
        limit = min(PARTS[part] * max(1.0, options.limit / LIMIT), end - time.monotonic())
        results["parts"][part] = run_part(part, options.device, options.tiny, max(1.0, limit))
        write_json(options.output, results)
    print(f"\n{summary(results)}\nwritten to {options.output}")
    return int(any(result["status"] != "passed" for result in results["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())
