"""Point operations in C++ on the CPU, compiled at first use and cached for the user; exact and quick.

The kernels are in ``cpp.cc``: a plain C interface on pointers, without headers of torch or Python. One build holds
several instruction sets, of which the CPU's best is taken when it runs.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from spa3d.contracts.ops import Ops
from spa3d.errors import PluginError

SOURCE = Path(__file__).with_suffix(".cc")
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=c++17", "-O2", "-shared", "-fPIC", "-pthread", "-ffp-contract=off", "-Wno-psabi")
"""No fast-math and no fused operations, which would change indices; no -march, which would not run elsewhere."""
LEVELS = ("plain", "avx2", "avx512")
"""Instruction sets in the order in which the library numbers them."""

_SIZE, _POINTER = ctypes.c_int64, ctypes.c_void_p
_SIGNATURES: dict[str, list[Any]] = {
    "spa3d_level": [],
    "spa3d_fps": [ctypes.c_int, _SIZE, _POINTER, *[_SIZE] * 3, *[_POINTER] * 2],
    "spa3d_knn": [ctypes.c_int, _SIZE, *[_POINTER] * 2, *[_SIZE] * 4, _POINTER],
    "spa3d_ball_query": [
        *(ctypes.c_int, _SIZE, *[_POINTER] * 2, *[_SIZE] * 3),
        *(ctypes.c_float, _SIZE, ctypes.c_int, _POINTER),
    ],
}


class CppOps(Ops):
    """Search over buckets of neighboring points, on as many threads as torch uses (``torch.set_num_threads``).

    It keeps nothing between calls, so that threads, forked and spawned workers may use one object at once.

    Raises:
        PluginError: there is no C++ compiler, or it fails.

    """

    devices = ("cpu",)

    def __init__(self) -> None:
        self._library = load()
        self.level: int = self._library.spa3d_level()
        """Place in ``LEVELS`` of the instruction set that runs: the best this CPU has."""

    def __reduce__(self) -> tuple[type[CppOps], tuple[()]]:
        """A copy in another process loads the library there."""
        return type(self), ()

    def fps(self, xyz: Float[Tensor, "B N 3"], count: int, start: Int[Tensor, " B"]) -> Int[Tensor, "B count"]:
        """Skips buckets in which no point's distance to the chosen set can change."""
        clouds, points = xyz.shape[:2]
        chosen = start.new_empty(clouds, count)
        start = start.contiguous()
        self._run("fps", xyz.data_ptr(), clouds, points, count, start.data_ptr(), chosen.data_ptr())
        return chosen

    def knn(self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], k: int) -> Int[Tensor, "B Q k"]:
        """Near buckets give a limit within which the others are searched."""
        clouds, queries, points = *query.shape[:2], xyz.shape[1]
        found = query.new_empty(clouds, queries, k, dtype=torch.int64)
        self._run("knn", query.data_ptr(), xyz.data_ptr(), clouds, queries, points, k, found.data_ptr())
        return found

    def ball_query(
        self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], radius: float, nsample: int, *, closed: bool
    ) -> Int[Tensor, "B Q nsample"]:
        """The radius is squared in float32, as everywhere."""
        clouds, queries, points = *query.shape[:2], xyz.shape[1]
        found = query.new_empty(clouds, queries, nsample, dtype=torch.int64)
        limit = float(np.square(np.float32(radius)))
        places = (query.data_ptr(), xyz.data_ptr())
        self._run("ball_query", *places, clouds, queries, points, limit, nsample, closed, found.data_ptr())
        return found

    def _run(self, name: str, *arguments: float) -> None:
        """Call one operator; it is without the interpreter's lock meanwhile."""
        if getattr(self._library, f"spa3d_{name}")(self.level, torch.get_num_threads(), *arguments):
            raise MemoryError(f"ops cpp: not enough memory for {name}")


def load() -> ctypes.CDLL:
    """The kernels, compiled unless this user's cache holds them.

    Raises:
        PluginError: there is no C++ compiler, or it fails.

    """
    command = _compiler()
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, errors="replace", check=False)
    parts = (SOURCE.read_text(), *FLAGS, *command, version.stdout, sys.platform, platform.machine())
    name = f"{SOURCE.stem}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}.so"
    folder = _cache()
    if folder is None:  # no place that is ours alone: compiled for this process, and gone with it
        with tempfile.TemporaryDirectory(prefix="spa3d-") as own:
            return _open(_build(command, Path(own) / name))
    path = folder / name
    if library := _cached(path):
        return library
    with _locked(folder / f"{name}.lock"):
        return _cached(path) or _open(_build(command, path))


def _compiler() -> list[str]:
    """The command that compiles C++, from ``$CXX`` or the ``PATH``."""
    given = os.environ.get("CXX", "")
    try:
        chosen = shlex.split(given)
    except ValueError as error:
        raise PluginError(f"ops cpp: $CXX is {given!r}, which is no command: {error}") from error
    for command in [chosen] if chosen else [[name] for name in COMPILERS]:
        if shutil.which(command[0]):
            return command
    what = f"$CXX is {chosen[0]!r}, which is not there" if chosen else f"none of {', '.join(COMPILERS)} is on the PATH"
    raise PluginError(
        f"ops cpp needs a C++ compiler, and {what}. Install one (Debian: apt install g++), or take --ops torch: "
        "its results are the same."
    )


def _cache() -> Path | None:
    """The user's cache folder, made if need be; none where it cannot be written or others could write to it."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "spa3d"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = _ours_alone(folder.stat()) and os.access(folder, os.W_OK | os.X_OK)
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None
    return folder if usable else None


def _ours_alone(status: os.stat_result) -> bool:
    """Whether nobody else (but root) can have written this."""
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _cached(path: Path) -> ctypes.CDLL | None:
    """The library at `path`; none where it is not there, not ours alone, damaged, or of another machine."""
    try:
        if not (_ours_alone(path.lstat()) and path.with_suffix(".sha256").read_text() == _digest(path)):
            return None
        return _open(path)
    except (OSError, UnicodeDecodeError, AttributeError):  # AttributeError: it lacks one of the functions
        return None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _open(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    for name, arguments in _SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, ctypes.c_int
    return library


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; without effect where the file system knows no locks (the file is replaced whole)."""
    with path.open("w") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(command: list[str], path: Path) -> Path:
    """Compile the kernels to `path`, in one step for whoever looks, and note the checksum beside it."""
    logging.getLogger(__name__).info("compiling the point operations with %s (once)", command[0])
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        whole = [*command, *FLAGS, str(SOURCE), "-o", name]
        done = subprocess.run(whole, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            last = "\n".join((done.stderr + done.stdout).splitlines()[-8:])
            raise PluginError(
                f"ops cpp: the C++ compiler failed with code {done.returncode}. Set $CXX to another, or take "
                f"--ops torch: its results are the same.\n{shlex.join(whole)}\n{last}"
            )
        part.chmod(0o700)
        path.with_suffix(".sha256").write_text(_digest(part))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
