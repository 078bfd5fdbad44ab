"""Measures the model of a run on its benchmarks, before and after post-training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from spa3d.artifacts.predictions import PredictionRow, read_rows, write_rows
from spa3d.config.evaluate_settings import EvaluateSettings
from spa3d.errors import DataError, DivergenceError
from spa3d.evaluation.evaluate import (
    are_answers,
    count_unscored,
    evaluate_benchmark,
    evaluate_text_table,
    make_answer_table,
)
from spa3d.inference.contrast import Contrast
from spa3d.inference.generation import Decoding
from spa3d.inference.predictor import GREEDY, Predictor
from spa3d.metrics.text_floor import TEXT_TABLE, TRAINED_BLIND, AnswerTable
from spa3d.pipeline.caches import Caches
from spa3d.pipeline.data_checks import Questions
from spa3d.runtime.progress import Reporter


def choose_decoding(settings: EvaluateSettings) -> Decoding:
    """Decoding of a run's answers."""
    contrast = Contrast(settings.contrast_alpha, settings.contrast_cutoff) if settings.decode == "contrast" else None
    return replace(GREEDY, contrast=contrast)


class Measurement:
    """Answers of a run's model to its benchmarks, saved as files.

    Args:
        caches: of the run; runs with the same base and questions share the base's answers.
        base_key: of the base.
        split: the evaluated split.
        views: names of the views; every question is asked under each.
        output: the run's folder.
        reporter: where progress goes.

    Attributes:
        trained_blind: by benchmark, answers of a model trained without clouds; they are saved beside those of the run.

    """

    def __init__(
        self,
        caches: Caches,
        base_key: str,
        *,
        split: str,
        views: Sequence[str],
        output: Path,
        reporter: Reporter,
    ) -> None:
        self.caches, self.base_key, self.split, self.views = caches, base_key, split, views
        self.folder, self.reporter = output / "predictions", reporter
        self.names = list(caches.parts.benchmarks)
        self.trained_blind: Mapping[str, Sequence[PredictionRow]] = {}

    @cached_property
    def answer_table(self) -> AnswerTable:
        """The answers of the training text."""
        return make_answer_table(self.caches.parts.dataset)

    def shared_file(self, name: str) -> Path:
        """File of the base's answers to a benchmark."""
        answers = self.caches.fingerprints.answers[name]
        return self.caches.execution.workspace.answers(self.base_key, name, answers)

    @property
    def before_done(self) -> bool:
        """Whether the base has answered everything."""
        return all(self.shared_file(name).exists() for name in self.names)

    def collect_before(self, predictor: Callable[[], Predictor], questions: Questions) -> None:
        """Collect the answers of the base, once for all runs with the same questions.

        Raises:
            DivergenceError: log p of some options is not a number.

        """
        answered: list[PredictionRow] = []
        for name in self.names:
            rows = self._collect(self.shared_file(name), name, "before", predictor, questions)
            self._write(name, "before", rows)
            answered += rows
        _refuse_unscored("before", answered)

    def collect_after(self, predictor: Callable[[], Predictor], questions: Questions) -> None:
        """Collect the answers of the trained model; raises as `collect_before`."""
        answered: list[PredictionRow] = []
        for name in self.names:
            rows = self._collect(self.path(name, "after"), name, "after", predictor, questions)
            if name in self.trained_blind:
                self._write(name, "after", rows)
            answered += rows
        _refuse_unscored("after", answered)

    def path(self, name: str, when: str) -> Path:
        """File of the run's own copy of the answers to a benchmark."""
        return self.folder / f"{name}.{when}.jsonl"

    def rows(self, questions: Questions) -> dict[str, tuple[list[PredictionRow], list[PredictionRow]]]:
        """By benchmark, the rows before and after; empty where its questions are not answered yet."""

        def read(name: str, when: str) -> list[PredictionRow]:
            rows = self._read(self.path(name, when), name, questions)
            return [*rows, *self.trained_blind.get(name, ())] if rows else []

        return {name: (read(name, "before"), read(name, "after")) for name in self.names}

    def _write(self, name: str, when: str, rows: Sequence[PredictionRow]) -> None:
        write_rows(self.path(name, when), [*rows, *self.trained_blind.get(name, ())])

    def _read(self, path: Path, name: str, questions: Questions) -> list[PredictionRow] | None:
        """The rows in `path`; None if they are not the answers to all questions of a benchmark."""
        try:
            rows = [
                row for row in read_rows(path) if not (isinstance(row, Mapping) and row.get("view") == TRAINED_BLIND)
            ]
        except (DataError, ValueError):
            return None
        return rows if are_answers(rows, questions[name], [*self.views, TEXT_TABLE], split=self.split) else None

    def _collect(
        self, path: Path, name: str, when: str, predictor: Callable[[], Predictor], questions: Questions
    ) -> list[PredictionRow]:
        """Read the answers to a benchmark in `path`; if they are not whole, ask the model."""
        rows = self._read(path, name, questions)
        if rows is None:
            if path.exists():
                self.reporter.say(f"{path}: not the answers to all questions of {name}; they are asked again")
            rows = self._measure(name, when, predictor, questions)
            write_rows(path, rows)
        return rows

    def _measure(
        self, name: str, when: str, predictor: Callable[[], Predictor], questions: Questions
    ) -> list[PredictionRow]:
        items, benchmark = questions[name], self.caches.parts.benchmarks[name]
        if not items:
            return []
        self.reporter.stage(f"evaluate {when}: {name}")
        with self.reporter.track(len(items) * len(self.views), name) as advance:
            rows = evaluate_benchmark(predictor(), benchmark, items, self.views, split=self.split, advance=advance)
        return rows + evaluate_text_table(self.answer_table, benchmark, items, split=self.split)


def _refuse_unscored(when: str, answered: Sequence[PredictionRow]) -> None:
    rows = [row for row in answered if row["view"] != TEXT_TABLE]
    lost = count_unscored(rows)
    if lost:
        raise DivergenceError(
            f"the model {when} post-training diverged: in {lost} of {len(rows)} answers log p of the options is not a "
            "number"
        )
