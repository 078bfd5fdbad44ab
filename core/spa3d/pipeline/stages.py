"""The stages of a run as objects: `run` executes the list, ``--dry-run`` prints it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass

from spa3d.runtime import distributed


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    Attributes:
        name: name in progress, plans and timings.
        detail: one line for the plan.
        done: whether its result exists.
        run: does the work, or reads the existing result.
        every_process: whether all processes run it; false: the first one, while the others wait.
        inner: its sub-stages; a plan shows them instead of it.

    """

    name: str
    detail: str
    done: Callable[[], bool]
    run: Callable[[], None]
    every_process: bool = False
    inner: tuple[Stage, ...] = ()


def flatten(stages: Iterable[Stage]) -> Iterator[Stage]:
    """Flatten the stages of a plan: a stage with sub-stages is replaced by them."""
    for stage in stages:
        yield from stage.inner or (stage,)


def run_stages(stages: Iterable[Stage], timing: MutableMapping[str, float]) -> None:
    """Run `stages` in order; `timing` gets the wall seconds of those that were not done."""
    for stage in stages:
        start, was_done = time.perf_counter(), stage.done()
        if stage.every_process:
            stage.run()
        else:
            distributed.run_in_first(stage.run)
        if not was_done:
            timing[stage.name] = round(time.perf_counter() - start, 2)
