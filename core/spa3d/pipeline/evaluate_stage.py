"""Measures the model of a run on its benchmarks, before and after post-training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from spa3d.artifacts.predictions import PredictionRow, read_rows, write_rows
from spa3d.evaluation.evaluate import evaluate_benchmark
from spa3d.inference.predictor import Predictor
from spa3d.pipeline.caches import Caches
from spa3d.pipeline.data_checks import Questions
from spa3d.runtime.progress import Reporter


class Measurement:
    """Answers of a run's model to its benchmarks, saved as files.

    Args:
        caches: of the run; runs with the same base and questions share the base's answers.
        base_key: of the base.
        split: the evaluated split.
        views: names of the views; every question is asked under each.
        output: the run's folder.
        reporter: where progress goes.

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

    def shared_file(self, name: str) -> Path:
        """File of the base's answers to a benchmark."""
        answers = self.caches.fingerprints.answers[name]
        return self.caches.execution.workspace.answers(self.base_key, name, answers)

    @property
    def before_done(self) -> bool:
        """Whether the base has answered everything."""
        return all(self.shared_file(name).exists() for name in self.names)

    def collect_before(self, predictor: Callable[[], Predictor], questions: Questions) -> None:
        """Collect the answers of the base, once for all runs with the same questions."""
        for name in self.names:
            shared = self.shared_file(name)
            if not shared.exists():
                write_rows(shared, self._measure(name, "before", predictor, questions))
            write_rows(self.path(name, "before"), read_rows(shared))

    def collect_after(self, predictor: Callable[[], Predictor], questions: Questions) -> None:
        """Collect the answers of the trained model."""
        for name in self.names:
            path = self.path(name, "after")
            if not path.exists():
                write_rows(path, self._measure(name, "after", predictor, questions))

    def path(self, name: str, when: str) -> Path:
        """File of the run's own copy of the answers to a benchmark."""
        return self.folder / f"{name}.{when}.jsonl"

    def rows(self) -> dict[str, tuple[list[PredictionRow], list[PredictionRow]]]:
        """By benchmark, the rows before and after."""
        return {
            name: (read_rows(self.path(name, "before")), read_rows(self.path(name, "after"))) for name in self.names
        }

    def _measure(
        self, name: str, when: str, predictor: Callable[[], Predictor], questions: Questions
    ) -> list[PredictionRow]:
        items, benchmark = questions[name], self.caches.parts.benchmarks[name]
        if not items:
            return []
        self.reporter.stage(f"evaluate {when}: {name}")
        with self.reporter.track(len(items) * len(self.views), name) as advance:
            return evaluate_benchmark(predictor(), benchmark, items, self.views, split=self.split, advance=advance)
