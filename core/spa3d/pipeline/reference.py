"""The reference model of a run, where its objective asks for one."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Any

from spa3d.errors import ConfigError
from spa3d.inference.views import Views
from spa3d.model import adapters
from spa3d.model.modeling import Spa3dModel
from spa3d.pipeline.caches import make_views, reference_folder
from spa3d.pipeline.parts import Assembly
from spa3d.runtime import distributed
from spa3d.runtime.progress import Reporter
from spa3d.runtime.row_store import RowStore
from spa3d.training.dataset import TrainingDataset
from spa3d.training.reference import LiveReference, PrecomputedReference, Reference


def make_reference(
    assembly: Assembly, model: Spa3dModel, views: Views, samples: TrainingDataset[Any], reporter: Reporter
) -> Reference | None:
    """The reference model, where the objective asks for one; `model` must still be the base that training starts from.

    A resumed run comes here before its checkpoint is loaded, so it finds the same reference.
    """
    config, bf16 = assembly.config, assembly.bf16
    needs = [need for need in assembly.objective.needs if need.model == "reference"]
    if not needs:
        return None
    way, can_switch = config.train.reference, adapters.only_adapters_train(model)
    if way == "adapters-off" or (way == "auto" and can_switch):
        if not can_switch:
            raise ConfigError("--train.reference adapters-off: more than adapters trains; take precomputed or copy")
        reporter.stage("reference", "the model with its adapters switched off")
        return LiveReference(views, bf16=bf16, switched=partial(adapters.adapters_off, model))
    if way == "copy":
        reporter.stage("reference", "a copy of the base")
        frozen = deepcopy(model)
        frozen.set_trained()
        return LiveReference(make_views(assembly, frozen, views.clouds.processor, views.others), bf16=bf16)
    if any(need.vocabulary for need in needs):
        raise ConfigError(
            f"--objective {config.objective.asked}: it asks the reference for the whole vocabulary, which is not kept "
            "on disk; take --train.reference copy"
        )

    folder = reference_folder(assembly, model)

    def fill() -> None:
        reporter.stage("reference", "scored before training")
        rows = PrecomputedReference(RowStore(folder, (1,)), views)
        with reporter.track(len(samples), "reference") as advance:
            met = (samples[place] for place in range(len(samples)))
            rows.fill(
                met, needs, LiveReference(views, bf16=bf16), batch_size=config.evaluate.batch_size, advance=advance
            )

    distributed.first_only(fill)
    return PrecomputedReference(RowStore(folder, (1,)), views)  # opened anew: other processes read what the first wrote
