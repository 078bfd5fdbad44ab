"""Post-training: the base, the chosen objective, the chosen noise, and a watchdog on a held-out slice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from spa3d import ranks
from spa3d.assemble import Assembly
from spa3d.base import load_base, parts_trained, save_model
from spa3d.caches import make_clouds, make_token_store, noise_mark
from spa3d.contracts.dataset import Record
from spa3d.draws import generator
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.progress import Reporter
from spa3d.training.fit import fit
from spa3d.training.journal import Journal
from spa3d.training.probe import Probe
from spa3d.training.samples import SampleStream, instructions, tokenised
from spa3d.training.trainer import ObjectiveTrainer, needs_opening, optimiser_steps
from spa3d.training.views import Views

Splits = Mapping[str, Sequence[Record]]


def post_train(
    assembly: Assembly, model: Spa3dModel, processor: Spa3dProcessor, splits: Splits, output: Path, reporter: Reporter
) -> Spa3dModel:
    """Train `model` in place and save it under ``output/model``; load that where it is there already."""
    folder, config = output / "model", assembly.config
    if (folder / "done.json").exists():
        reporter.stage("post-train", "there")
        return load_base(folder, assembly)[0]
    settings, objective, records = config.train, assembly.objective, splits["train"]
    steps = optimiser_steps(settings, len(records))
    reporter.stage("post-train", f"{steps} steps of {config.objective.asked}")
    model.set_trained(*parts_trained("post-train", settings))
    views = make_views(assembly, model, processor, splits["train"])
    talk = instructions(assembly.dataset, config.seed)
    text = tokenised(processor, talk, needs_opening(objective.needs), blind=config.blind)
    journal = Journal(output / "metrics.jsonl")
    fit(
        partial(
            ObjectiveTrainer,
            objective,
            views,
            model=model,
            train_dataset=SampleStream(records, steps * settings.batch_size, config.seed, text),
        ),
        stage="post-train",
        settings=settings,
        steps=steps,
        folder=output,
        seed=config.seed,
        device=assembly.device,
        bf16=assembly.bf16,
        journal=journal,
        reporter=reporter,
        callbacks=watchdogs(assembly, views, splits, output, reporter),
    )

    def save() -> None:
        save_model(model, processor, folder)
        (folder / "done.json").write_text(json.dumps({"steps": steps}), encoding="utf-8")

    ranks.first_only(save)
    return model


def make_views(
    assembly: Assembly, model: Spa3dModel, processor: Spa3dProcessor, others: Sequence[Record] = ()
) -> Views:
    """What the model is shown in this run: its clouds, noise, seed and caches."""
    return Views(
        model,
        make_clouds(assembly, processor),
        make_token_store(assembly, model),
        noise=assembly.noise,
        seed=assembly.config.seed,
        others=others,
        mark=noise_mark(assembly),
    )


def watchdogs(assembly: Assembly, views: Views, splits: Splits, output: Path, reporter: Reporter) -> list[Probe]:
    """The held-out probe, where there is a val split to hold out and a cloud to look at."""
    held_out, settings = splits.get("val") or (), assembly.config.train
    if assembly.config.blind or len(held_out) < 2:
        return []
    text = tokenised(views.clouds.processor, instructions(assembly.dataset, 0), ["cloud"])
    places = generator("probe").permutation(len(held_out))[: settings.probe_size]
    return [
        Probe(
            views,
            [text(held_out[int(place)], 0) for place in sorted(places)],
            every=settings.probe_every,
            batch_size=assembly.config.evaluate.batch_size,
            start=output / "probe.json",
            journal=Journal(output / "metrics.jsonl"),
            warn=reporter.warn,
        )
    ]
