"""Exact point operations in C++ on the CPU, compiled at first use and cached per user.

The kernels are in ``cpp.cc``: a plain C interface on pointers, without headers of torch or Python. One build contains
several instruction sets; the best one for the CPU is chosen at run time.
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
"""Without fast-math and fused operations, which change indices; without -march, for use on other machines."""
LEVELS = ("plain", "avx2", "avx512")
"""Instruction sets, in the order of the library's numbers."""

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
    """Search over buckets of neighboring points on torch's threads (``set_num_threads``).

    It has no state between calls, so threads and worker processes (forked or spawned) may share one object.

    Raises:
        PluginError: there is no C++ compiler, or it fails.

    """

    devices = ("cpu",)

    def __init__(self) -> None:
        self._library = load()
        self.level: int = self._library.spa3d_level()
        """Index in ``LEVELS`` of the instruction set in use: the best of this CPU."""

    def __reduce__(self) -> tuple[type[CppOps], tuple[()]]:
        """Pickle as a call of the class, so that a copy in another process loads the library there."""
        return type(self), ()

    def fps(self, xyz: Float[Tensor, "B N 3"], count: int, start: Int[Tensor, " B"]) -> Int[Tensor, "B count"]:
        """Sample, skipping buckets in which no point's distance to the chosen set can change."""
        clouds, points = xyz.shape[:2]
        chosen = start.new_empty(clouds, count)
        start = start.contiguous()
        self._run("fps", xyz.data_ptr(), clouds, points, count, start.data_ptr(), chosen.data_ptr())
        return chosen

    def knn(self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], k: int) -> Int[Tensor, "B Q k"]:
        """Search near buckets first; their distances limit the search of the others."""
        clouds, queries, points = *query.shape[:2], xyz.shape[1]
        indices = query.new_empty(clouds, queries, k, dtype=torch.int64)
        self._run("knn", query.data_ptr(), xyz.data_ptr(), clouds, queries, points, k, indices.data_ptr())
        return indices

    def ball_query(
        self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], radius: float, nsample: int, *, closed: bool
    ) -> Int[Tensor, "B Q nsample"]:
        """Search balls; the radius is squared in float32, as in all backends."""
        clouds, queries, points = *query.shape[:2], xyz.shape[1]
        indices = query.new_empty(clouds, queries, nsample, dtype=torch.int64)
        limit = float(np.square(np.float32(radius)))
        pointers = (query.data_ptr(), xyz.data_ptr())
        self._run("ball_query", *pointers, clouds, queries, points, limit, nsample, closed, indices.data_ptr())
        return indices

    def _run(self, name: str, *arguments: float) -> None:
        """Call one operator, without the interpreter's lock."""
        if getattr(self._library, f"spa3d_{name}")(self.level, torch.get_num_threads(), *arguments):
            raise MemoryError(f"ops cpp: not enough memory for {name}")


def load() -> ctypes.CDLL:
    """Load the kernels, compiled first unless they are in this user's cache.

    Raises:
        PluginError: there is no C++ compiler, or it fails.

    """
    command = _find_compiler()
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, errors="replace", check=False)
    parts = (SOURCE.read_text(), *FLAGS, *command, version.stdout, sys.platform, platform.machine())
    name = f"{SOURCE.stem}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}.so"
    folder = _find_cache()
    if folder is None:  # no private folder: compile for this process only
        with tempfile.TemporaryDirectory(prefix="spa3d-") as own:
            return _open(_build(command, Path(own) / name))
    path = folder / name
    if library := _load_cached(path):
        return library
    with _lock(folder / f"{name}.lock"):
        return _load_cached(path) or _open(_build(command, path))


def _find_compiler() -> list[str]:
    """Find the command that compiles C++, from ``$CXX`` or the ``PATH``."""
    value = os.environ.get("CXX", "")
    try:
        chosen = shlex.split(value)
    except ValueError as error:
        raise PluginError(f"ops cpp: $CXX is {value!r}, which is no command: {error}") from error
    for command in [chosen] if chosen else [[name] for name in COMPILERS]:
        if shutil.which(command[0]):
            return command
    cause = f"$CXX is {chosen[0]!r}, which is not there" if chosen else f"none of {', '.join(COMPILERS)} is on the PATH"
    raise PluginError(
        f"ops cpp needs a C++ compiler, and {cause}. Install one (Debian: apt install g++), or take --ops torch: "
        "its results are the same."
    )


def _find_cache() -> Path | None:
    """Find or make the user's cache folder; None if it is not writable, or writable by others."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "spa3d"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = _is_private(folder.stat()) and os.access(folder, os.W_OK | os.X_OK)
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return None
    return folder if usable else None


def _is_private(status: os.stat_result) -> bool:
    """Whether only this user (and root) can write the file or folder."""
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _load_cached(path: Path) -> ctypes.CDLL | None:
    """Load the library at `path`; None if missing, not private, damaged or not loadable."""
    try:
        if not (_is_private(path.lstat()) and path.with_suffix(".sha256").read_text() == _digest(path)):
            return None
        return _open(path)
    except (OSError, UnicodeDecodeError, AttributeError):  # AttributeError: a function is missing
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
def _lock(path: Path) -> Iterator[None]:
    """Admit one process at a time.

    Without effect on file systems without locks; the file is replaced atomically anyway.
    """
    with path.open("w") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(command: list[str], path: Path) -> Path:
    """Compile the kernels, replace `path` atomically, and write the checksum next to it."""
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
