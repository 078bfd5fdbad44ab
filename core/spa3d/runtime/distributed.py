"""Several processes, one run: who writes, and when the others may read what was written.

Under ``torchrun`` or ``accelerate launch`` every process walks through the same steps; training splits its batches
among them, everything else is done by the first and waited for by the rest. This is the one place that reads the
variables that such a launcher sets. torch is imported when it is needed: the command line asks for the rank, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

PATIENCE = timedelta(hours=12)
"""How long the others wait for the first process, which may be evaluating a large model."""


def world_size() -> int:
    """Number of processes of this run, as the launcher says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Number of this process among all, as the launcher says."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int | None:
    """Number of this process among those of its machine; None without a launcher."""
    value = os.environ.get("LOCAL_RANK")
    return None if value is None else int(value)


def join(*, cpu: bool) -> None:
    """Join the other processes of this run, if there are any; a second call does nothing."""
    if world_size() > 1:
        from accelerate import PartialState

        PartialState(cpu=cpu, timeout=PATIENCE)


def is_first() -> bool:
    """Whether this process is the one that writes."""
    import torch.distributed as dist

    return not dist.is_initialized() or dist.get_rank() == 0


def first_only(work: Callable[[], None]) -> None:
    """Let the first process do `work` while the others wait; an error of the first ends them all."""
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
