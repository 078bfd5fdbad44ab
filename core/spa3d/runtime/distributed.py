"""Runs of several processes: ranks, and work that only the first process does.

Under ``torchrun`` or ``accelerate launch`` every process takes the same steps. Training splits its batches among them,
and an evaluation of a model its questions. The first process does everything else, while the others wait. Only this
module reads the variables that a launcher sets. torch is imported on first use, because the command line also needs the
rank.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar, cast

from spa3d.errors import ConfigError, OtherProcessError

PATIENCE = timedelta(hours=12)
"""Time that the others wait for the first process, which may be evaluating a large model."""
HINT = "torchrun and accelerate set it; without them, unset it"
T = TypeVar("T")


def world_size() -> int:
    """Number of processes of this run, from the launcher."""
    return _read_variable("WORLD_SIZE", 1, least=1)


def rank() -> int:
    """Index of this process among all, from the launcher."""
    index, size = _read_variable("RANK", 0, least=0), world_size()
    if index >= size:
        raise ConfigError(f"RANK={index}: there are {size} processes (WORLD_SIZE); {HINT}")
    return index


def local_rank() -> int | None:
    """Index of this process on its machine; None without a launcher."""
    return _read_variable("LOCAL_RANK", None, least=0)


def _read_variable(name: str, default: T, *, least: int) -> int | T:
    """Read a whole number from the environment; an empty variable counts as not set."""
    text = os.environ.get(name)
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < least:
        raise ConfigError(f"{name}={text!r}: expected a whole number, at least {least}; {HINT}")
    return int(text)


def join(*, cpu: bool) -> None:
    """Join the other processes of this run, if there are any; a second call does nothing."""
    if world_size() > 1:
        from accelerate import PartialState

        PartialState(cpu=cpu, timeout=PATIENCE)


def is_first() -> bool:
    """Whether this process is the first; only the first one writes files."""
    import torch.distributed as dist

    return not dist.is_initialized() or dist.get_rank() == 0


def run_in_first(work: Callable[[], None]) -> None:
    """Call `work` in the first process while the others wait; its error ends all processes."""
    import torch.distributed as dist

    if not dist.is_initialized():
        work()
        return
    error: list[str] = [""]
    try:
        if is_first():
            work()
    except BaseException as raised:
        error[0] = f"{type(raised).__name__}: {raised}"
        raise
    finally:
        dist.broadcast_object_list(error)
    if error[0] and not is_first():
        raise OtherProcessError(f"rank {dist.get_rank()}: the first process failed: {error[0]}")


def gather(work: Callable[[], T]) -> list[T]:
    """Call `work` in every process, and give all of them all results, by rank.

    An error of one process ends all.
    """
    import torch.distributed as dist

    if not dist.is_initialized():
        return [work()]
    results: list[tuple[str, T | None]] = [("", None)] * dist.get_world_size()
    own: tuple[str, T | None] = ("it ended", None)
    try:
        own = "", work()
    except BaseException as raised:
        own = f"{type(raised).__name__}: {raised}", None
        raise
    finally:
        dist.all_gather_object(results, own)
    failed = next((f"rank {number} failed: {error}" for number, (error, _) in enumerate(results) if error), None)
    if failed:
        raise OtherProcessError(f"rank {dist.get_rank()}: {failed}")
    return [cast("T", result) for _, result in results]
