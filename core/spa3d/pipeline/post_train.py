"""Post-training: the base, the chosen objective, the chosen noise, and a watchdog on a held-out slice."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from spa3d.artifacts.metrics_log import Journal
from spa3d.checkpoints.load import describe
from spa3d.config.settings import TrainSettings
from spa3d.contracts.dataset import Conversation, Record
from spa3d.contracts.objective import asks_for_pairs, asks_for_twins
from spa3d.data.pair_interim import Pair
from spa3d.errors import ConfigError, DataError
from spa3d.inference.views import Views
from spa3d.model import adapters
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.pipeline.assemble import Assembly
from spa3d.pipeline.base import Base, load_base, parts_trained, save_model
from spa3d.pipeline.caches import make_clouds, make_token_store, noise_mark, reference_folder
from spa3d.runtime import distributed as ranks
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.progress import Reporter
from spa3d.runtime.rng import generator
from spa3d.runtime.row_store import RowStore
from spa3d.training.arguments import optimiser_steps
from spa3d.training.best_checkpoint import Best
from spa3d.training.dataset import SampleStream, Talk, instructions
from spa3d.training.examples import Lesson, ordinary, paired, tokenised, twinned, wanted
from spa3d.training.fit import fit
from spa3d.training.reference import Frozen, Precomputed, Reference
from spa3d.training.trainer import ObjectiveTrainer
from spa3d.training.watchdog import Probe

Splits = Mapping[str, Sequence[Record]]


def post_train(
    assembly: Assembly,
    model: Spa3dModel,
    processor: Spa3dProcessor,
    splits: Splits,
    output: Path,
    reporter: Reporter,
    *,
    pairs: Sequence[Pair] = (),
) -> Spa3dModel:
    """Train `model` in place and save it under ``output/model``; load that where it is there already.

    Args:
        assembly: of the run.
        model: the base.
        processor: its processor.
        splits: the records of each split.
        output: the run's folder.
        reporter: where progress goes.
        pairs: the preference pairs, for an objective that needs rejected answers.

    """
    folder, config = output / "model", assembly.config
    if (folder / "done.json").exists():
        reporter.stage("post-train", "there")
        return load_base(folder, assembly)[0]
    settings = config.train
    items, lesson = lessons(assembly, splits["train"], pairs)
    steps = optimiser_steps(settings, len(items))
    reporter.stage("post-train", f"{steps} steps of {config.objective.asked}")
    let_train(model, settings, seed=config.seed)
    views = make_views(assembly, model, processor, splits["train"])
    text = tokenised(processor, lesson, wanted(assembly.objective.needs), blind=config.blind)
    samples = SampleStream(items, steps * settings.batch_size, config.seed, text)
    reference = make_reference(assembly, model, views, samples, reporter)
    fit(
        partial(ObjectiveTrainer, assembly.objective, views, model=model, train_dataset=samples, reference=reference),
        stage="post-train",
        settings=settings,
        steps=steps,
        folder=output,
        seed=config.seed,
        device=assembly.device,
        bf16=assembly.bf16,
        journal=Journal(output / "metrics.jsonl"),
        reporter=reporter,
        callbacks=watchdogs(assembly, views, splits, output, reporter),
    )
    _save(model, processor, output, steps)
    return model


def _save(model: Spa3dModel, processor: Spa3dProcessor, output: Path, steps: int) -> None:
    """Write ``model/``, with the adapters merged into it, and ``adapter/`` where there are any."""
    if adapters.attached(model):
        ranks.first_only(lambda: adapters.save(model, output / "adapter"))
        adapters.merge(model)

    def save() -> None:
        save_model(model, processor, output / "model")
        write_whole(output / "model" / "done.json", json.dumps({"steps": steps}))

    ranks.first_only(save)


def let_train(model: Spa3dModel, settings: TrainSettings, *, seed: int) -> None:
    """Let the parts that post-training trains train, the LLM through adapters where there is a rank."""
    parts = parts_trained("post-train", settings)
    if settings.lora.rank:
        adapters.attach(model, parts, settings.lora, seed=seed)
    else:
        model.set_trained(*parts)


def lessons(
    assembly: Assembly, records: Sequence[Record], pairs: Sequence[Pair]
) -> tuple[Sequence[Any], Callable[[Any, int], Lesson]]:
    """What post-training goes through, records or pairs, and how one of them becomes a lesson."""
    config, needs = assembly.config, assembly.objective.needs
    if asks_for_pairs(needs):
        return pairs, paired
    talk = post_training_talk(assembly, len(records))
    if asks_for_twins(needs):
        return records, twinned(assembly.dataset, talk, share=config.train.twin_share, seed=config.seed)
    return records, ordinary(talk)


def post_training_talk(assembly: Assembly, records: int) -> Talk:
    """The conversations of post-training: of the epochs that the base has seen, or of those that follow."""
    config = assembly.config
    talk = instructions(assembly.dataset, config.seed)
    if not config.train.fresh:
        return talk
    stage = config.base.instruct
    seen = math.ceil(optimiser_steps(stage, records) * stage.batch_size / records)

    def later(record: Record, epoch: int) -> Conversation:
        return talk(record, epoch + seen)

    return later


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


def make_reference(
    assembly: Assembly, model: Spa3dModel, views: Views, samples: SampleStream[Any], reporter: Reporter
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
        return Frozen(views, bf16=bf16, switched=partial(adapters.adapters_off, model))
    if way == "copy":
        reporter.stage("reference", "a copy of the base")
        frozen = deepcopy(model)
        frozen.set_trained()
        return Frozen(make_views(assembly, frozen, views.clouds.processor, views.others), bf16=bf16)
    if any(need.vocabulary for need in needs):
        raise ConfigError(
            f"--objective {config.objective.asked}: it asks the reference for the whole vocabulary, which is not kept "
            "on disk; take --train.reference copy"
        )

    folder = reference_folder(assembly, model)

    def fill() -> None:
        reporter.stage("reference", "scored before training")
        rows = Precomputed(RowStore(folder, (1,)), views)
        with reporter.track(len(samples), "reference") as advance:
            met = (samples[place] for place in range(len(samples)))
            rows.fill(met, needs, Frozen(views, bf16=bf16), batch_size=config.evaluate.batch_size, advance=advance)

    ranks.first_only(fill)
    return Precomputed(RowStore(folder, (1,)), views)  # opened anew: other processes read what the first wrote


def held_out(assembly: Assembly, splits: Splits) -> Sequence[Record]:
    """The records that the held-out slice is taken from; none without clouds, or with fewer than two in split val.

    Raises:
        ConfigError: there are none, and a setting depends on them.

    """
    config = assembly.config
    records = () if config.blind else splits.get("val") or ()
    if len(records) > 1:
        return records
    asked = ["--train.early_stop"] * config.train.early_stop + ["--train.keep best"] * (config.train.keep == "best")
    if asked:
        why = "with --blind no cloud is shown" if config.blind else "split val has fewer than two records"
        raise ConfigError(f"{' and '.join(asked)}: nothing is held out to go by, for {why}; leave it out")
    return ()


def refuse_twinless(assembly: Assembly, splits: Splits) -> None:
    """Without any twin an objective that contrasts them would be another one, and nobody would be told.

    Raises:
        DataError: the objective wants twins, and no training record has one.

    """
    config, dataset, records = assembly.config, assembly.dataset, splits["train"]
    if asks_for_twins(assembly.objective.needs) and all(dataset.twin(record, 0) is None for record in records):
        raise DataError(
            f"--objective {config.objective.asked}: none of the {len(records)} training records of dataset "
            f"{config.dataset.asked} has a twin; where clouds come from files, twins need facts about main_color or "
            "shape that agree with the cloud (README, Your own clouds)"
        )


def refuse_targets(assembly: Assembly, base: Base) -> None:
    """A given base brings an LLM of its own: raise `ConfigError` where it lacks the layers that are to get adapters."""
    config = assembly.config
    if config.base.path and config.train.lora.rank:
        adapters.planned_size(config.train.lora, describe(base.model_folder).text_config)


def watchdogs(assembly: Assembly, views: Views, splits: Splits, output: Path, reporter: Reporter) -> list[Probe]:
    """The held-out probe, where there is a val split to hold out and a cloud to look at."""
    records, settings = held_out(assembly, splits), assembly.config.train
    if not records:
        return []
    text = tokenised(views.clouds.processor, ordinary(instructions(assembly.dataset, 0)), [("chosen", "cloud")])
    places = generator("probe").permutation(len(records))[: settings.probe_size]
    return [
        Probe(
            views,
            [text(records[int(place)], 0) for place in sorted(places)],
            every=settings.probe_every,
            batch_size=assembly.config.evaluate.batch_size,
            start=output / "probe.json",
            journal=Journal(output / "metrics.jsonl"),
            warn=reporter.warn,
            early_stop=settings.early_stop,
            best=Best(views.model, output / "best.safetensors") if settings.keep == "best" else None,
        )
    ]
