"""The reference model of a run, for objectives that need one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from spa3d.contracts.objective import Need
from spa3d.errors import ConfigError
from spa3d.inference.views import Views
from spa3d.model import adapters
from spa3d.model.modeling import Spa3dModel
from spa3d.runtime import distributed
from spa3d.runtime.progress import Reporter
from spa3d.runtime.row_store import RowStore
from spa3d.training.dataset import TrainingDataset
from spa3d.training.reference import LiveReference, PrecomputedReference, Reference


@dataclass(frozen=True)
class ReferenceRequest:
    """Needs of an objective that concern the reference model, and how to score them.

    Attributes:
        needs: all needs of the objective.
        objective: its name, for messages.
        way: ``auto``, ``precomputed``, ``adapters-off`` or ``copy``.
        bf16: forward under bfloat16 autocast.
        batch_size: samples scored at once.

    """

    needs: Sequence[Need]
    objective: str
    way: str
    bf16: bool
    batch_size: int


def make_reference(
    request: ReferenceRequest,
    views: Views,
    samples: TrainingDataset[Any],
    *,
    cache_dir: Callable[[Spa3dModel], Path],
    views_of: Callable[[Spa3dModel], Views],
    reporter: Reporter,
) -> Reference | None:
    """Make the reference model; None if no need concerns it.

    The model of `views` must still have the weights of the base. A resumed run calls this before its checkpoint is
    loaded, so it gets the same reference.

    Args:
        request: needs and settings.
        views: of the policy.
        samples: all samples of the stage, in order.
        cache_dir: returns the folder of the reference scores of a model.
        views_of: the same views of another model.
        reporter: where progress goes.

    Raises:
        ConfigError: `request.way` is impossible for this model or objective.

    """
    needs, model = [need for need in request.needs if need.model == "reference"], views.model
    if not needs:
        return None
    can_switch = adapters.only_adapters_train(model)
    if request.way == "adapters-off" or (request.way == "auto" and can_switch):
        if not can_switch:
            raise ConfigError("--train.reference adapters-off: more than adapters trains; take precomputed or copy")
        reporter.stage("reference", "the model with its adapters switched off")
        return LiveReference(views, bf16=request.bf16, switched=partial(adapters.adapters_off, model))
    if request.way == "copy":
        reporter.stage("reference", "a copy of the base")
        frozen = deepcopy(model)
        frozen.set_trained()
        return LiveReference(views_of(frozen), bf16=request.bf16)
    if any(need.vocabulary for need in needs):
        raise ConfigError(
            f"--objective {request.objective}: it asks the reference for the whole vocabulary, which is not kept on "
            "disk; take --train.reference copy"
        )
    return _precompute(replace(request, needs=needs), views, samples, cache_dir(model), reporter)


def _precompute(
    request: ReferenceRequest, views: Views, samples: TrainingDataset[Any], folder: Path, reporter: Reporter
) -> PrecomputedReference:
    """Score all samples without scores in `folder`, and read the scores from there."""
    live = LiveReference(views, bf16=request.bf16)

    def fill() -> None:
        reporter.stage("reference", "scored before training")
        rows = PrecomputedReference(RowStore(folder, (1,)), views)
        with reporter.track(len(samples), "reference") as advance:
            in_order = (samples[index] for index in range(len(samples)))
            rows.fill(in_order, request.needs, live, batch_size=request.batch_size, advance=advance)

    distributed.run_in_first(fill)
    return PrecomputedReference(RowStore(folder, (1,)), views)  # reopened to read what the first process wrote
