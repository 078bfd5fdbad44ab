"""One run from its configuration to its report: base, measure, post-train, measure, report.

Every step leaves its result on disk and is skipped when that is there, so a killed run continues with ``--resume``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from spa3d import ops
from spa3d.artifacts.metrics_log import Journal
from spa3d.artifacts.predictions import Row, read_rows, write_rows
from spa3d.artifacts.run_folder import claimed, issue_passport, link_latest
from spa3d.artifacts.workspace import make_bases_folder
from spa3d.config.settings import RunConfig
from spa3d.contracts.benchmark import Question
from spa3d.contracts.dataset import Record, Round
from spa3d.data.preference_pairs import Pair, read_pairs
from spa3d.data.preparation import load_valid_cloud
from spa3d.errors import DataError, about
from spa3d.evaluation.evaluate import measure
from spa3d.evaluation.question_sets import Asked, asked
from spa3d.inference.predictor import Predictor, View
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.special_tokens import reject_special_tokens, special_token_names
from spa3d.pipeline import pairs_stage as gather
from spa3d.pipeline.assemble import assemble
from spa3d.pipeline.base import answers_file, load_base, locate, nearest_difference, part_hashes
from spa3d.pipeline.build_base import BaseBuilder
from spa3d.pipeline.caches import make_views
from spa3d.pipeline.checks import held_out, refuse_targets, refuse_twinless
from spa3d.pipeline.parts import Assembly
from spa3d.pipeline.passport import passport_of
from spa3d.pipeline.post_train import post_train
from spa3d.preferences.generate import Pairs
from spa3d.registry.registry import Registry
from spa3d.report import build_document, write_report
from spa3d.report.examples import select_examples
from spa3d.runtime import distributed
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.progress import Reporter


def execute(config: RunConfig, registry: Registry, *, output: Path, resume: bool, reporter: Reporter) -> Path:
    """Run everything and return the run's folder.

    Raises:
        SpaError: any fault of the input; what was made so far stays on disk.

    """
    assembly = _begin(config, registry)
    with ops.use(*assembly.ops):
        return Run(assembly, output, reporter).everything(resume=resume)


def execute_pairs(config: RunConfig, registry: Registry, *, path: Path, reporter: Reporter) -> Pairs:
    """Make the preference pairs that a run of `config` would train on, and write them to `path`.

    Raises:
        SpaError: any fault of the input; answers that are there already are kept beside the bases.

    """
    assembly = _begin(config, registry)
    with ops.use(*assembly.ops):
        return Run(assembly, path.parent, reporter).pairs_alone(path)


def _begin(config: RunConfig, registry: Registry) -> Assembly:
    # One run has one voice: transformers' own bars and notices would drown it.
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    if config.threads:
        torch.set_num_threads(config.threads)
    assembly = assemble(config, registry)
    distributed.join(cpu=assembly.device.type == "cpu")
    return assembly


class Run:
    """The steps of one run, in order."""

    def __init__(self, assembly: Assembly, output: Path, reporter: Reporter) -> None:
        self.assembly, self.output, self.reporter = assembly, output, reporter
        self.config = assembly.config
        self.journal = Journal(output / "metrics.jsonl")
        self.timing: dict[str, float] = {}
        self.left_out: dict[str, set[str]] = {}
        self.questions: dict[str, Asked] = {}
        self.splits = {split: self._usable(split) for split in assembly.dataset.splits}
        left_out = self.left_out.get("train", set())
        self.base = locate(assembly, left_out=left_out)
        self.pairs = gather.Gathering(assembly, self.base, self.splits.get("train", ()), left_out, reporter)

    def everything(self, *, resume: bool) -> Path:
        """Look at the data, claim the folder; then base, before, post-train, after, report."""
        distributed.first_only(make_bases_folder)
        distributed.first_only(self._look_at_data)
        with ExitStack() as held:
            distributed.first_only(
                lambda: held.enter_context(claimed(self.output, self.config.model_dump(mode="json"), resume=resume))
            )
            distributed.first_only(lambda: issue_passport(self.output, passport_of(self.assembly, self.base)))
            self._work()
        return self.output

    def _work(self) -> None:
        with self._timed("base"):
            self._prepare_base()
            self.journal.adopt(self.base.folder / "metrics.jsonl")
            model, processor = load_base(self.base.model_folder, self.assembly)
        with self._timed("evaluate before"):
            distributed.first_only(lambda: self._measure_before(model, processor))
        pairs: list[Pair] = []
        if self.pairs.wanted:
            with self._timed("pairs"):
                distributed.first_only(lambda: self._gather_pairs(model, processor))
                pairs = read_pairs(self.output / gather.NAME)
        with self._timed("post-train"):
            model = post_train(self.assembly, model, processor, self.splits, self.output, self.reporter, pairs=pairs)
        with self._timed("evaluate after"):
            distributed.first_only(lambda: self._measure_after(model, processor))
        distributed.first_only(lambda: self._report(model, processor))

    def _look_at_data(self) -> None:
        """Gather the questions, so that data that cannot be trained on or asked about are told before any work."""
        settings, dataset = self.config.evaluate, self.config.dataset.asked
        for what, split in (("to train on", "train"), ("to report on (--evaluate.split)", settings.split)):
            if not self.splits.get(split):
                there = ", ".join(f"{name} ({len(records)})" for name, records in self.splits.items())
                raise DataError(f"dataset {dataset} has no record {what} in split {split!r}; there are: {there}")
        for name, benchmark in self.assembly.benchmarks.items():
            questions = asked(
                benchmark, self.assembly.dataset, split=settings.split, seed=settings.seed, limit=settings.limit
            )
            self.questions[name] = self._answerable(questions)
            if not self.questions[name]:
                self.reporter.say(f"{name}: dataset {dataset} gives it nothing to ask in split {settings.split}")
        if not any(self.questions.values()):
            raise DataError(f"--benchmark {', '.join(self.questions)}: dataset {dataset} gives none of them a question")
        held_out(self.assembly, self.splits)  # it says so where a setting lacks it
        refuse_twinless(self.assembly, self.splits)
        refuse_targets(self.assembly, self.base)
        self.pairs.check()

    def _answerable(self, questions: Asked) -> Asked:
        """Those that can be asked; of a pair both members or none."""
        lost = [entry for entry in questions if not self._can_be_asked(entry[0])]
        ids, pairs = {question.id for question, _, _ in lost}, {pair for _, _, pair in lost if pair is not None}
        return [entry for entry in questions if entry[0].id not in ids and entry[2] not in pairs]

    def _can_be_asked(self, question: Question) -> bool:
        """Whether cloud and text are fit; a fault of the text ends the run, or is listed where bad data are skipped."""
        if any(question.record_id in ids for ids in self.left_out.values()):
            return False
        try:
            with about(question.record_id):
                texts = [Round(question.prompt, option) for option in question.options or (question.answer,)]
                reject_special_tokens(texts, special_token_names(self.config.llm))
        except DataError as fault:
            if self.config.on_bad_data == "stop":
                raise
            self.assembly.dataset.skipped.append(str(fault))
            return False
        return True

    def _prepare_base(self) -> None:
        told = self.assembly.weights_told()
        if told:
            self.reporter.say(told)
        if self.config.base.path:
            self.reporter.stage("base", f"given: {self.config.base.path}")
        elif self.base.there:
            self.reporter.stage("base", f"there: {self.base.folder}")
        else:
            changed = nearest_difference(self.base)
            if changed:
                self.reporter.say("no base fits; the nearest differs in " + "; ".join(changed[:4]))
            BaseBuilder(self.assembly, self.base, self.splits["train"], self.reporter).build()

    def _measure_before(self, model: Spa3dModel, processor: Spa3dProcessor) -> None:
        """Measure the base, once for all runs that ask it the same questions."""
        for name in self.assembly.benchmarks:
            shared = answers_file(self.base, self.assembly, name, left_out=set().union(*self.left_out.values()))
            if not shared.exists():
                write_rows(shared, self._measure(name, "before", model, processor))
            write_rows(self._predictions(name, "before"), read_rows(shared))

    def _measure_after(self, model: Spa3dModel, processor: Spa3dProcessor) -> None:
        for name in self.assembly.benchmarks:
            path = self._predictions(name, "after")
            if not path.exists():
                write_rows(path, self._measure(name, "after", model, processor))

    def _measure(self, name: str, when: str, model: Spa3dModel, processor: Spa3dProcessor) -> list[Row]:
        settings, benchmark, questions = self.config.evaluate, self.assembly.benchmarks[name], self.questions[name]
        if not questions:
            return []
        self.reporter.stage(f"evaluate {when}: {name}")
        views: list[View] = ["blind"] if self.config.blind else ["clean", "blind"]
        answerer = self._answerer(model, processor, settings.batch_size)
        return measure(
            answerer, benchmark, questions, split=settings.split, views=views, reporter=self.reporter, title=name
        )

    def _answerer(self, model: Spa3dModel, processor: Spa3dProcessor, batch_size: int) -> Predictor:
        views = make_views(self.assembly, model, processor)
        return Predictor(model, processor, views, batch_size=batch_size, bf16=self.assembly.bf16)

    def _gather_pairs(self, model: Spa3dModel, processor: Spa3dProcessor) -> None:
        def answerer() -> Predictor:
            return self._answerer(model, processor, self.config.pairs.batch_size)

        self._add_to_passport(pairs=self.pairs.into(self.output, answerer))

    def pairs_alone(self, path: Path) -> Pairs:
        """Make pairs without training, and the base first where that is who answers."""
        make_bases_folder()

        def answerer() -> Predictor:
            self._prepare_base()
            return self._answerer(*load_base(self.base.model_folder, self.assembly), self.config.pairs.batch_size)

        return self.pairs.alone(path, answerer)

    def _report(self, model: Spa3dModel, processor: Spa3dProcessor) -> None:
        self.reporter.stage("report")
        names = list(self.assembly.benchmarks)
        rows = {
            name: (read_rows(self._predictions(name, "before")), read_rows(self._predictions(name, "after")))
            for name in names
        }
        passport = self._add_to_passport(weights=part_hashes(model))
        document = build_document(
            config=self.config.model_dump(mode="json"),
            passport=passport,
            data={
                "dataset": self.config.dataset.asked,
                "splits": {name: len(records) for name, records in self.splits.items()},
                "skipped": list(self.assembly.dataset.skipped),
                "up_axis": self.assembly.dataset.up_axis,
            },
            rows=rows,
            metrics=self.journal.rows(),
            timing=self.timing,
            bootstrap=self.config.evaluate.bootstrap,
            seed=self.config.evaluate.seed,
        )
        clouds = make_views(self.assembly, model, processor).clouds
        first = next(name for name in names if self.questions[name])
        shown = select_examples(*rows[first], clouds, self.assembly.noise, seed=self.config.seed)
        write_report(self.output, document, shown)
        link_latest(self.output)

    def _predictions(self, name: str, when: str) -> Path:
        return self.output / "predictions" / f"{name}.{when}.jsonl"

    def _usable(self, split: str) -> Sequence[Record]:
        """The records of `split`; with ``--on-bad-data skip`` each is looked at once, and bad ones are listed."""
        records = self.assembly.dataset.records(split)
        if self.config.on_bad_data == "stop":
            return records
        good = []
        with self.reporter.track(len(records), f"checking {split}") as advance:
            for record in records:
                try:
                    self._check(record)
                    good.append(record)
                except DataError as fault:
                    self.left_out.setdefault(split, set()).add(record.id)
                    self.assembly.dataset.skipped.append(str(fault))
                advance(1)
        return good

    def _check(self, record: Record) -> None:
        """Raise `DataError` where training or measuring would stop at `record`."""
        config = self.config
        if not config.blind:
            load_valid_cloud(record, min_points=self.assembly.min_points, asked_by=f"encoder {config.encoder.asked}")
        with about(record.id):
            reject_special_tokens(
                (turn for talk in record.conversations for turn in talk.rounds), special_token_names(config.llm)
            )

    def _add_to_passport(self, **more: object) -> dict[str, object]:
        path = self.output / "passport.json"
        passport: dict[str, object] = {**json.loads(path.read_text(encoding="utf-8")), **more}
        write_whole(path, json.dumps(passport, indent=1))
        return passport

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.timing[name] = round(time.perf_counter() - start, 2)
