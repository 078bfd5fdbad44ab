"""One run from its configuration to its report: base, measure, post-train, measure, report.

Every step leaves its result on disk and is skipped when that is there, so a killed run continues with ``--resume``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch

from spa3d import ops
from spa3d.assemble import Assembly, assemble
from spa3d.base import (
    Base,
    BaseBuilder,
    answers_file,
    load_base,
    locate,
    nearest_difference,
    part_hashes,
    parts_trained,
    save_model,
)
from spa3d.caches import make_clouds, make_token_store
from spa3d.config import RunConfig
from spa3d.contracts.dataset import Record
from spa3d.draws import Draws, generator
from spa3d.errors import DataError, OutputError
from spa3d.evaluation.measure import Row, asked, measure, read_rows, write_rows
from spa3d.evaluation.predict import Answerer, View
from spa3d.folder import claim, link_latest
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.passport import differences, hash_sources, machine, revision, versions
from spa3d.progress import Reporter
from spa3d.registry import Registry
from spa3d.report import Example, build_document, write_report
from spa3d.training.fit import fit
from spa3d.training.journal import Journal
from spa3d.training.probe import Probe
from spa3d.training.samples import SampleStream, instructions, tokenised
from spa3d.training.trainer import ObjectiveTrainer, needs_opening, optimiser_steps
from spa3d.training.views import Views

EXAMPLES = 4
"""Clouds shown in the report."""


def execute(config: RunConfig, registry: Registry, *, output: Path, resume: bool, reporter: Reporter) -> Path:
    """Run everything and return the run's folder.

    Raises:
        SpaError: any fault of the input; what was made so far stays on disk.

    """
    claim(output, config, resume=resume)
    assembly = assemble(config, registry)
    with ops.use(assembly.ops):
        return Run(assembly, output, reporter).everything()


class Run:
    """The steps of one run, in order."""

    def __init__(self, assembly: Assembly, output: Path, reporter: Reporter) -> None:
        self.assembly, self.output, self.reporter = assembly, output, reporter
        self.config = assembly.config
        self.base: Base = locate(assembly)
        self.journal = Journal(output / "metrics.jsonl")
        self.timing: dict[str, float] = {}
        self.splits = {split: self._usable(split) for split in assembly.dataset.splits}

    def everything(self) -> Path:
        """Base, before, post-train, after, report."""
        self._write_passport()
        with self._timed("base"):
            self._prepare_base()
            model, processor = load_base(self.base.model_folder, self.assembly)
        with self._timed("evaluate before"):
            before = {name: self._before(name, model, processor) for name in self.assembly.benchmarks}
        with self._timed("post-train"):
            self._post_train(model, processor)
        with self._timed("evaluate after"):
            after = {name: self._after(name, model, processor) for name in self.assembly.benchmarks}
        self._report(before, after, model, processor)
        link_latest(self.output)
        return self.output

    def _prepare_base(self) -> None:
        if self.config.base.path:
            self.reporter.stage("base", f"given: {self.config.base.path}")
        elif self.base.there:
            self.reporter.stage("base", f"there: {self.base.folder}")
        else:
            changed = nearest_difference(self.assembly)
            if changed:
                self.reporter.say("no base fits; the nearest differs in " + "; ".join(changed[:4]))
            BaseBuilder(self.assembly, self.base, self.splits["train"], self.reporter).build()

    def _before(self, name: str, model: Spa3dModel, processor: Spa3dProcessor) -> list[Row]:
        """Measure the base once for all runs that ask it the same questions."""
        shared = answers_file(self.base, self.assembly, name)
        if not shared.exists():
            write_rows(shared, self._measure(name, "before", model, processor))
        rows = read_rows(shared)
        write_rows(self.output / "predictions" / f"{name}.before.jsonl", rows)
        return rows

    def _after(self, name: str, model: Spa3dModel, processor: Spa3dProcessor) -> list[Row]:
        path = self.output / "predictions" / f"{name}.after.jsonl"
        if not path.exists():
            write_rows(path, self._measure(name, "after", model, processor))
        return read_rows(path)

    def _measure(self, name: str, when: str, model: Spa3dModel, processor: Spa3dProcessor) -> list[Row]:
        settings, benchmark = self.config.evaluate, self.assembly.benchmarks[name]
        self.reporter.stage(f"evaluate {when}: {name}")
        questions = asked(
            benchmark, self.assembly.dataset, split=settings.split, seed=settings.seed, limit=settings.limit
        )
        if not questions:
            raise DataError(
                f"--benchmark {name}: dataset {self.config.dataset.asked} gives no question in split {settings.split}"
            )
        views: list[View] = ["blind"] if self.config.blind else ["clean", "blind"]
        answerer = Answerer(
            model, processor, self._views(model, processor), batch_size=settings.batch_size, bf16=self.assembly.bf16
        )
        return measure(
            answerer, benchmark, questions, split=settings.split, views=views, reporter=self.reporter, title=name
        )

    def _views(self, model: Spa3dModel, processor: Spa3dProcessor) -> Views:
        return Views(
            model,
            make_clouds(self.assembly, processor),
            make_token_store(self.assembly, model),
            noise=self.assembly.noise,
            seed=self.config.seed,
            others=self.splits["train"],
        )

    def _post_train(self, model: Spa3dModel, processor: Spa3dProcessor) -> None:
        """Train with the objective, or load the result if it is there."""
        folder = self.output / "model"
        if (folder / "done.json").exists():
            self.reporter.stage("post-train", "there")
            trained = Spa3dModel.from_pretrained(folder, encoder=model.encoder, projector=model.projector)
            model.load_state_dict(trained.state_dict())
            return
        settings, objective, records = self.config.train, self.assembly.objective, self.splits["train"]
        steps = optimiser_steps(settings, len(records))
        self.reporter.stage("post-train", f"{steps} steps of {self.config.objective.asked}")
        model.set_trained(*parts_trained("post-train", settings))
        views = self._views(model, processor)
        talk = instructions(self.assembly.dataset, self.config.seed)
        openings = ["blind"] if self.config.blind else needs_opening(objective.needs)
        samples = SampleStream(
            records, steps * settings.batch_size, self.config.seed, tokenised(processor, talk, openings)
        )
        fit(
            partial(ObjectiveTrainer, objective, views, model=model, train_dataset=samples),
            stage="post-train",
            settings=settings,
            steps=steps,
            folder=self.output,
            seed=self.config.seed,
            device=self.assembly.device,
            bf16=self.assembly.bf16,
            journal=self.journal,
            reporter=self.reporter,
            callbacks=self._probe(views, processor),
        )
        save_model(model, processor, folder)
        (folder / "done.json").write_text(json.dumps({"steps": steps}), encoding="utf-8")

    def _probe(self, views: Views, processor: Spa3dProcessor) -> Sequence[Probe]:
        held_out = self.splits.get("val") or self.splits.get("test") or []
        if self.config.blind or len(held_out) < 2:
            return ()
        text = tokenised(processor, instructions(self.assembly.dataset, 0), ["cloud"])
        size = min(self.config.train.probe_size, len(held_out))
        places = generator("probe").choice(len(held_out), size=size, replace=False)
        return [
            Probe(
                views,
                [text(held_out[int(place)], 0) for place in sorted(places)],
                noised=True,
                every=self.config.train.probe_every,
                batch_size=self.config.evaluate.batch_size,
                start=self.output / "probe.json",
                journal=self.journal,
                warn=self.reporter.warn,
            )
        ]

    def _report(
        self,
        before: Mapping[str, list[Row]],
        after: Mapping[str, list[Row]],
        model: Spa3dModel,
        processor: Spa3dProcessor,
    ) -> None:
        self.reporter.stage("report")
        passport = json.loads((self.output / "passport.json").read_text(encoding="utf-8"))
        passport["weights"] = part_hashes(model)
        (self.output / "passport.json").write_text(json.dumps(passport, indent=1), encoding="utf-8")
        document = build_document(
            config=self.config.model_dump(mode="json"),
            passport=passport,
            data={
                "dataset": self.config.dataset.asked,
                "splits": {name: len(records) for name, records in self.splits.items()},
                "skipped": list(self.assembly.dataset.skipped),
            },
            rows={name: (before[name], after[name]) for name in before},
            warnings=[row["warning"] for row in self.journal.rows() if "warning" in row],
            timing=self.timing,
            bootstrap=self.config.evaluate.bootstrap,
            seed=self.config.evaluate.seed,
        )
        write_report(self.output, document, self._examples(before, after, processor))

    def _examples(
        self, before: Mapping[str, list[Row]], after: Mapping[str, list[Row]], processor: Spa3dProcessor
    ) -> list[Example]:
        """A few questions of the first benchmark, with the cloud as the model saw it and as the noise left it."""
        name = next(iter(before))
        pairs = {row["id"]: row for row in after[name] if row["view"] != "blind"}
        blind = {row["id"]: row["text"] for row in after[name] if row["view"] == "blind" and row["set"] == "test"}
        shown = [row for row in before[name] if row["view"] == "clean" and row["set"] == "test" and row["id"] in pairs]
        if not shown:
            return []
        by_record = {row["record"]: row for row in shown}
        rows = [by_record[key] for key in sorted(by_record)]
        picked = generator("examples").choice(len(rows), size=min(EXAMPLES, len(rows)), replace=False)
        clouds = make_clouds(self.assembly, processor)
        examples = []
        for row in (rows[int(i)] for i in sorted(picked)):
            clean = torch.from_numpy(clouds.get([row["record"]]))
            noised = self.assembly.noise.apply(clean, Draws([(self.config.seed, 0, row["record"], "noised")]))
            examples.append(
                Example(
                    record_id=row["record"],
                    question=row["prompt"],
                    reference=row["answer"],
                    before=row["text"],
                    after=pairs[row["id"]]["text"],
                    blind=blind.get(row["id"], ""),
                    clean=np.asarray(clean[0]),
                    noised=np.asarray(noised[0]),
                )
            )
        return examples

    def _usable(self, split: str) -> Sequence[Record]:
        """The records of `split`; with ``--on-bad-data skip`` every cloud is read once and bad ones are listed."""
        records = self.assembly.dataset.records(split)
        if self.config.on_bad_data == "stop" or self.config.blind:
            return records
        good = []
        with self.reporter.track(len(records), f"checking {split}") as advance:
            for record in records:
                try:
                    record.cloud()
                    good.append(record)
                except DataError as fault:
                    self.assembly.dataset.skipped.append(str(fault))
                advance(1)
        return good

    def _write_passport(self) -> None:
        path = self.output / "passport.json"
        passport = {
            "created": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "base": self.base.key,
            "data": self.assembly.dataset.fingerprint(),
            "sources": hash_sources(self.assembly.sources()),
            "revision": revision(),
            "versions": versions(),
            "machine": machine(self.assembly.device),
            "plugins": list(self.config.plugins),
            "seeds": {"run": self.config.seed, "base": self.config.base.seed, "questions": self.config.evaluate.seed},
        }
        if path.exists():
            old = json.loads(path.read_text(encoding="utf-8"))
            lasting = ("base", "data", "sources")
            changed = differences({k: old[k] for k in lasting}, {k: passport[k] for k in lasting})
            if changed:
                raise OutputError(
                    f"{self.output} was begun with something else ({'; '.join(changed)}); its numbers would mix two "
                    f"programs or data sets: choose another --output"
                )
            return
        path.write_text(json.dumps(passport, indent=1), encoding="utf-8")

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.timing[name] = round(time.perf_counter() - start, 2)
