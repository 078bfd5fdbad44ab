"""Asks a model the questions of benchmarks, all or a part, and scores its answers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from spa3d.artifacts.hashing import digest
from spa3d.artifacts.predictions import PredictionRow
from spa3d.artifacts.workspace import Workspace
from spa3d.contracts.benchmark import Prediction
from spa3d.errors import ConfigError
from spa3d.evaluation.answer_log import AnswerLog
from spa3d.evaluation.cached_predictor import LOGGED_VIEWS, AnswerKeys, CachedPredictor
from spa3d.evaluation.evaluate import evaluate_benchmark, evaluate_text_table, make_answer_table
from spa3d.inference.predictor import Predictor
from spa3d.inference.session import Session
from spa3d.pipeline.blind_run import read_trained_blind
from spa3d.pipeline.evaluated_model import EvaluatedModel, SavedModel
from spa3d.pipeline.evaluation_questions import EvaluationQuestions, QuestionReader, has_train_split
from spa3d.pipeline.evaluation_settings import EvaluationContent, EvaluationSettings
from spa3d.pipeline.evaluation_views import EvaluationViews
from spa3d.pipeline.fingerprints import noise_fingerprint, records_fingerprint
from spa3d.runtime import distributed
from spa3d.runtime.progress import Advance, Reporter, SilentReporter
from spa3d.runtime.row_store import RowStore
from spa3d.runtime.shards import Shard


@dataclass(frozen=True)
class ModelEvaluation:
    """Evaluation of one model.

    Attributes:
        model: that is evaluated.
        content: questions, data and views.
        settings: how they are asked.
        workspace: keeps answers and tokens.
        reporter: where progress goes.
        reads_training: whether training records are read, for unseen objects and for the text floor.

    """

    model: EvaluatedModel
    content: EvaluationContent
    settings: EvaluationSettings
    workspace: Workspace
    reporter: Reporter
    reads_training: bool = False

    @cached_property
    def questions(self) -> EvaluationQuestions:
        """The usable questions."""
        return QuestionReader(self.content, self.settings, self.model, self.reporter, self.reads_training).read()

    @cached_property
    def records(self) -> str:
        """Fingerprint of the records; new files are read by the first process alone."""
        result: list[str] = []
        distributed.run_in_first(lambda: result.append(records_fingerprint(self.content.dataset)))
        return result[0] if result else records_fingerprint(self.content.dataset)

    @cached_property
    def view_names(self) -> list[str]:
        """Names of the views; raises `ConfigError` for one that there is not."""
        return self._views.names

    @property
    def request(self) -> dict[str, object]:
        """Everything that decides answers and scores."""
        precision = "bfloat16" if self.model.bf16 else "float32"
        described = self.content.describe(self.settings) | {"records": self.records}
        return {"model": self.model.content, "precision": precision, **described}

    def check(self) -> None:
        """Check what needs neither data nor the loaded model.

        Raises:
            ConfigError: a view does not exist, or settings do not go together.

        """
        self.settings.check()
        if self.settings.decoding.contrast and not self.content.noise:
            raise ConfigError("--decode contrast: it compares the cloud with a noised one; give --noise NAME")
        self.view_names  # noqa: B018 - raises for a missing view

    def prepare(self) -> None:
        """Read what is needed before the first question, so that its errors come before any work.

        Raises:
            ConfigError: there is no such split, or no such run without clouds.
            DataError: there is no question, or data are bad.

        """
        self.questions, self.blind_run_rows  # noqa: B018 - both raise
        if self.settings.cache and isinstance(self.model, SavedModel):
            self.records  # noqa: B018 - every process computes it at the same time

    def ask_part(self, shard: Shard) -> Mapping[str, Prediction]:
        """Ask a part of the questions; returns the answers by key."""
        keys: dict[str, None] = {}
        for predictor in self._predictors:
            for name, items in self.questions.items.items():
                questions = [item.question for item in shard.select(items)]
                with self._track(len(questions) * len(self._logged_views), name) as advance:
                    for view in self._logged_views:
                        keys |= dict.fromkeys(predictor.ask(questions, view, advance))
        return {key: self.log[key] for key in keys}

    def collect_rows(self) -> list[dict[str, list[PredictionRow]]]:
        """Ask what is not answered yet, and score all: for each sample, the rows by benchmark."""
        return [
            {name: self._answer_all(predictor, name) for name, items in self.questions.items.items() if items}
            for predictor in self._predictors
        ]

    def collect_text_rows(self) -> dict[str, list[PredictionRow]]:
        """Rows of what competes for the text floor beside the model: training text, and a blind run."""
        rows: dict[str, list[PredictionRow]] = {}
        items, split = self.questions.items, self.settings.split
        if has_train_split(self.content):
            table = make_answer_table(self.content.dataset)
            for name, some in items.items():
                rows[name] = evaluate_text_table(table, self.content.benchmarks[name], some, split=split)
        for name, trained in self.blind_run_rows.items():
            rows.setdefault(name, []).extend(trained)
        return rows

    @cached_property
    def blind_run_rows(self) -> Mapping[str, list[PredictionRow]]:
        """Answers of a run without clouds; raises `ConfigError` if it had other questions."""
        folder = self.settings.blind_run
        return read_trained_blind(Path(folder), self.questions.items, split=self.settings.split) if folder else {}

    @cached_property
    def log(self) -> AnswerLog:
        """The answers so far."""
        kept = self.settings.cache and isinstance(self.model, SavedModel)
        folder = self.workspace.model_answers(self.model.content) if kept else None
        return AnswerLog(folder, self.reporter)

    @property
    def new(self) -> int:
        """Number of answers that the model gave in this process."""
        return sum(predictor.new for predictor in self._predictors)

    def _answer_all(self, predictor: CachedPredictor, name: str) -> list[PredictionRow]:
        items, views = self.questions.items[name], self.view_names
        source = predictor if self._remembers else predictor.open()
        with self._track(len(items) * len(views), name) as advance:
            return evaluate_benchmark(
                source, self.content.benchmarks[name], items, views, split=self.settings.split, advance=advance
            )

    @cached_property
    def _predictors(self) -> list[CachedPredictor]:
        """A predictor for each sample."""
        model = self.model.fingerprint if isinstance(self.model, SavedModel) else ""
        noise = noise_fingerprint(self.content.noise, seed=self.settings.seed)
        clouds = self.questions.clouds
        return [
            CachedPredictor(
                self._open_predictor,
                AnswerKeys(model, clouds.__getitem__, noise, replace(self.settings.decoding, sample=number)),
                self.log,
            )
            for number in range(self.settings.samples)
        ]

    @property
    def _remembers(self) -> bool:
        """Whether answers are looked up by key; a model in memory, alone, is asked every question."""
        alone = self.settings.shard.count == 1 and distributed.world_size() == 1
        return isinstance(self.model, SavedModel) or not alone

    @property
    def _logged_views(self) -> list[str]:
        return [name for name in self.view_names if name in LOGGED_VIEWS]

    @cached_property
    def _views(self) -> EvaluationViews:
        return EvaluationViews(self.model, self.content, self.settings, self._open_tokens)

    def _open_predictor(self) -> Predictor:
        session, settings = self.model.open(), self.settings
        return Predictor(
            session.model, session.processor, self._views.views, settings.batch_size, session.generator.bf16
        )

    def _open_tokens(self, session: Session) -> RowStore | None:
        """Tokens of the encoder, kept for other evaluations of the model on these data."""
        if not self.settings.cache or not isinstance(self.model, SavedModel):
            return None
        encoder = session.model.encoder
        shape = (encoder.num_tokens(session.model.config.num_points), encoder.dim)
        folder = self.workspace.tokens(digest([self.model.fingerprint, self.records]))
        return RowStore(folder, shape, limit_bytes=self.settings.cache_limit_gb * 1e9)

    def _track(self, total: int, name: str) -> AbstractContextManager[Advance]:
        return (self.reporter if distributed.is_first() else SilentReporter()).track(total, name)
