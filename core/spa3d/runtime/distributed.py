"""Runs of several processes: ranks, and work that only the first process does.

Under ``torchrun`` or ``accelerate launch`` every process takes the same steps. Training splits its batches among them.
The first process does everything else, while the others wait. Only this module reads the variables that a launcher
sets. torch is imported on first use, because the command line also needs the rank.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

PATIENCE = timedelta(hours=12)
"""Time that the others wait for the first process, which may be evaluating a large model."""


def world_size() -> int:
    """Number of processes of this run, from the launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Index of this process among all, from the launcher."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int | None:
    """Index of this process on its machine; None without a launcher."""
    value = os.environ.get("LOCAL_RANK")
    return None if value is None else int(value)


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
        raise SystemExit(f"rank {dist.get_rank()}: the first process failed: {error[0]}")
