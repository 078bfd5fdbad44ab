"""One run from its components to its report: base, measure, post-train, measure, report.

Every step saves its result and is skipped if the result exists, so ``--resume`` continues a killed run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.artifacts.run_folder import extend_passport, issue_passport, lock_run_folder
from spa3d.checkpoints.load import describe
from spa3d.config.settings import RunConfig
from spa3d.config.stages import optimizer_steps, stages_of
from spa3d.contracts.dataset import Record
from spa3d.data.preference_pairs import Pair, read_pairs
from spa3d.errors import DivergenceError
from spa3d.inference.predictor import Predictor
from spa3d.model import adapters
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.pipeline import pairs_stage
from spa3d.pipeline.assemble import describe_weights
from spa3d.pipeline.base import explain_cache_miss, find_base, load_base, of_given_base, part_hashes
from spa3d.pipeline.blind_run import read_trained_blind
from spa3d.pipeline.build_base import BaseBuilder, BaseRecipe
from spa3d.pipeline.caches import Caches
from spa3d.pipeline.data_checks import (
    DataChecks,
    Questions,
    RunData,
    check_relevance,
    held_out_records,
    refuse_twinless,
)
from spa3d.pipeline.evaluate_stage import Measurement, choose_decoding
from spa3d.pipeline.llm_trial import try_llm
from spa3d.pipeline.pairs_stage import PairSource
from spa3d.pipeline.passport import make_passport
from spa3d.pipeline.post_train import PostTraining, PostTrainingRecipe
from spa3d.pipeline.report_stage import RunReport
from spa3d.pipeline.stages import Stage, run_stages
from spa3d.preferences.generate import Pairs
from spa3d.registry.registry import Registry
from spa3d.runtime import distributed
from spa3d.runtime.device import free_memory
from spa3d.runtime.progress import Reporter


class Run:
    """The steps of one run, in order.

    Args:
        config: of the run.
        registry: source of its components.
        caches: hold its components, execution and fingerprints.
        data: the usable records.
        output: the run's folder.
        reporter: where progress goes.

    """

    def __init__(
        self, config: RunConfig, registry: Registry, caches: Caches, data: RunData, output: Path, reporter: Reporter
    ) -> None:
        self.config, self.registry, self.caches, self.data = config, registry, caches, data
        self.parts, self.execution = caches.parts, caches.execution
        self.output, self.reporter = output, reporter
        self.base = find_base(config.base.path, caches.parts, caches.execution, caches.fingerprints)
        self.recipe = PostTrainingRecipe(config.train, config.seed, config.blind, config.base.instruct)
        self.training = PostTraining(self.recipe, self.parts, caches, data.splits, output, reporter)
        self.metrics_log = MetricsLog(output / "metrics.jsonl")
        self.questions: Questions = {}
        self.timing: dict[str, float] = {}
        self.report = RunReport(config, caches, data, output, self.timing)

    @cached_property
    def builder(self) -> BaseBuilder:
        """The builder of the base."""
        config = self.config
        stages = [(name, getattr(config.base, name)) for name in stages_of(config)]
        recipe = BaseRecipe(stages, config.llm, config.base.seed, config.blind)
        return BaseBuilder(self.base, recipe, self.parts, self.caches, self.data.split("train"), self.reporter)

    @cached_property
    def measurement(self) -> Measurement:
        """The evaluation on the benchmarks."""
        return Measurement(
            self.caches,
            self.base.key,
            split=self.config.evaluate.split,
            views=["blind"] if self.config.blind else ["clean", "blind"],
            output=self.output,
            reporter=self.reporter,
        )

    @cached_property
    def pairs(self) -> PairSource:
        """The source of the preference pairs."""
        return PairSource(
            self.config.pairs,
            self.recipe,
            self.parts,
            self.caches,
            self.base,
            self.data,
            self.reporter,
        )

    @cached_property
    def model_and_processor(self) -> tuple[Spa3dModel, Spa3dProcessor]:
        """The loaded base; post-training trains it in place, and then it is dropped."""
        with of_given_base(self.config.base.path):
            model, processor = load_base(self.base.model_folder, self.parts, self.execution)
        if self.config.base.path:  # a base of this run was tried when it was begun
            try_llm(model, processor, f"--base {self.config.base.path}")
        return model, processor

    @cached_property
    def trained_parts(self) -> tuple[Spa3dModel, Spa3dProcessor]:
        """The trained model as it was saved: a resumed run measures the same."""
        return self.training.load()

    def stages(self) -> list[Stage]:
        """The stages of the run, in order."""
        names, pairs = ", ".join(self.parts.benchmarks), self.pairs
        steps = optimizer_steps(self.config.train, len(self.data.split("train")))
        noised = any(need.view == "noised" for need in self.parts.objective.needs)
        shown = f" on {self.parts.names['noise']}" if noised else ""
        training = f"{steps} steps of {self.parts.names['objective']}{shown}"
        return [
            self._base_stage(),
            Stage("evaluate before", names, lambda: self.measurement.before_done, self._measure_before),
            *([Stage("pairs", pairs.detail, lambda: pairs.done, self._collect_pairs)] if pairs.is_needed else []),
            Stage("post-train", training, lambda: self.training.done, self._post_train, every_process=True),
            Stage("evaluate after", names, self._is_complete, self._measure_after),
            Stage("report", "report.html, .md, .json", self._is_complete, self._report),
        ]

    def run_all(self, *, resume: bool) -> None:
        """Check the data, lock the folder, and run every stage."""
        distributed.run_in_first(self.execution.workspace.prepare)
        distributed.run_in_first(self.check_data)
        config = self.config.model_dump(mode="json")
        with ExitStack() as stack:
            distributed.run_in_first(lambda: stack.enter_context(lock_run_folder(self.output, config, resume=resume)))
            distributed.run_in_first(self._issue_passport)
            try:
                run_stages(self.stages(), self.timing)
            except DivergenceError as error:
                if distributed.is_first():
                    self._report_divergence(str(error))
                hint = "lower the learning rate of the stage, or look for its cause in metrics.jsonl"
                raise DivergenceError(f"{error}; {hint}. The report is {self.output / 'report.html'}") from error

    def check_data(self) -> None:
        """Collect the questions, and raise the errors of the data before any work."""
        config, base = self.config, self.base
        checks = DataChecks(self.parts, blind=config.blind, reporter=self.reporter)
        checks.note_conversion(self.data)
        checks.check_records(self.data)
        self.questions = checks.questions(self.data, config.evaluate)
        if config.evaluate.blind_run:
            folder = Path(config.evaluate.blind_run)
            self.measurement.trained_blind = read_trained_blind(folder, self.questions, split=config.evaluate.split)
        self._held_out_records()
        refuse_twinless(self.parts, self.data.split("train"))
        check_relevance(self.parts.dataset, config.train, self.data.split("train"))
        if config.base.path and config.train.lora.rank:
            # The LLM of a base from --base may lack the layers of --train.lora.targets.
            adapters.planned_size(config.train.lora, describe(base.model_folder).text_config)
        self.pairs.check()
        for note in self.parts.dataset.skip_log.notes:
            self.reporter.warn(note)

    def make_pairs(self, path: Path) -> Pairs:
        """Make pairs without training; if the base generates the answers, build it first."""
        self.execution.workspace.prepare()

        def predictor() -> Predictor:
            self._prepare_base()
            return self._predictor()

        return self.pairs.generate_to(path, predictor)

    def describe_weights(self) -> str:
        """Describe the source of the encoder's weights, used or available; empty if there is none."""
        return describe_weights(self.parts, self.config, self.registry.manifest)

    def _issue_passport(self) -> None:
        training = self.data.split("train")
        issue_passport(self.output, make_passport(self.config, self.registry, self.caches, self.base, training))

    def _base_stage(self) -> Stage:
        path = self.config.base.path
        if path:
            return Stage("base", f"given: {path}", lambda: True, self._load_base, every_process=True)
        inner = self.builder.stages()
        return Stage("base", "", lambda: self.base.is_finished, self._load_base, every_process=True, inner=inner)

    def _load_base(self) -> None:
        self._prepare_base()
        self.metrics_log.import_base_metrics(self.base.folder / "metrics.jsonl")
        _ = self.model_and_processor

    def _prepare_base(self) -> None:
        weights = self.describe_weights()
        if weights:
            self.reporter.say(weights)
        if self.config.base.path:
            self.reporter.stage("base", f"given: {self.config.base.path}")
        elif self.base.is_finished:
            self.reporter.stage("base", f"reused: {self.base.folder}")
        else:
            changed = explain_cache_miss(self.base, self.execution.workspace)
            if changed:
                self.reporter.say("no base fits; the nearest differs in " + "; ".join(changed[:4]))
            self.builder.build()

    def _predictor(self) -> Predictor:
        """The predictor of the base that makes preference pairs."""
        model, processor = self.model_and_processor
        views, batch_size = self.caches.views(model, processor, seed=self.config.seed), self.config.pairs.batch_size
        return Predictor(model, processor, views, batch_size=batch_size, bf16=self.execution.bf16)

    def _measuring_predictor(self, *, trained: bool) -> Predictor:
        """The predictor that is measured: the base, or the trained model.

        A contrasted noise has the seed of the questions, so that all runs are asked the same.
        """
        model, processor = self.trained_parts if trained else self.model_and_processor
        settings = self.config.evaluate
        views = self.caches.views(model, processor, seed=settings.seed)
        return Predictor(
            model, processor, views, settings.batch_size, self.execution.bf16, decoding=choose_decoding(settings)
        )

    def _measure_before(self) -> None:
        self.measurement.collect_before(partial(self._measuring_predictor, trained=False), self.questions)

    def _measure_after(self) -> None:
        self.measurement.collect_after(partial(self._measuring_predictor, trained=True), self.questions)

    def _collect_pairs(self) -> None:
        collected = self.pairs.collect(self.output, self._predictor)
        extend_passport(self.output, pairs=collected)

    def _held_out_records(self) -> Sequence[Record]:
        return held_out_records(self.config.train, self.data.split("val"), blind=self.config.blind)

    def _post_train(self) -> None:
        if self.training.done:
            self.reporter.stage("post-train", "there")
        else:
            pairs: list[Pair] = read_pairs(self.output / pairs_stage.NAME) if self.pairs.is_needed else []
            self.training.run(*self.model_and_processor, pairs=pairs, held_out=self._held_out_records())
        self.__dict__.pop("model_and_processor", None)  # the saved model is read back, and two may not fit
        free_memory()

    def _is_complete(self) -> bool:
        return (self.output / "report.json").exists()

    def _report(self) -> None:
        self.reporter.stage("report")
        model, processor = self.trained_parts
        extend_passport(self.output, weights=part_hashes(model))
        notes = self.training.describe_losses(self._held_out_records())
        first = next(name for name, items in self.questions.items() if items)
        self.report.write(self.measurement.rows(self.questions), processor, shown=first, notes=notes)

    def _report_divergence(self, reason: str) -> None:
        self.reporter.stage("report", "of a run that diverged")
        self.metrics_log.import_base_metrics(self.base.folder / "metrics.jsonl")
        self.report.write_diverged(self.measurement.rows(self.questions), reason)
