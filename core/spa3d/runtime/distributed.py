"""Several processes, one run: who writes, and when the others may read what was written.

Under ``torchrun`` or ``accelerate launch`` every process walks through the same steps; training splits its batches
among them, everything else is done by the first and waited for by the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

import torch.distributed as dist
from accelerate import PartialState

PATIENCE = timedelta(hours=12)
"""How long the others wait for the first process, which may be evaluating a large model."""


def join(*, cpu: bool) -> None:
    """Join the other processes of this run, if there are any; a second call does nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        PartialState(cpu=cpu, timeout=PATIENCE)


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return not dist.is_initialized() or dist.get_rank() == 0


def first_only(work: Callable[[], None]) -> None:
    """Let the first process do `work` while the others wait; a fault of the first ends them all."""
    if not dist.is_initialized():
        work()
        return
    fault: list[str] = [""]
    try:
        if is_first():
            work()
    except BaseException as raised:
        fault[0] = f"{type(raised).__name__}: {raised}"
        raise
    finally:
        dist.broadcast_object_list(fault)
    if fault[0] and not is_first():
        raise SystemExit(f"rank {dist.get_rank()}: the first process failed: {fault[0]}")
