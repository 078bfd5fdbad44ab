"""Questions of an evaluation, with the clouds behind them read and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spa3d.contracts.dataset import Record
from spa3d.data.preparation import load_valid_cloud
from spa3d.errors import SHOWN, ConfigError, DataError, bad_records, describe_unknown
from spa3d.evaluation.question_sets import EvaluationItem, collect_questions, make_unseen_test
from spa3d.pipeline.evaluated_model import EvaluatedModel
from spa3d.pipeline.evaluation_settings import EvaluationContent, EvaluationSettings
from spa3d.pipeline.question_checks import QuestionChecks, describe_lack, try_scoring
from spa3d.runtime.progress import Reporter

TRAIN = "train"


@dataclass(frozen=True)
class EvaluationQuestions:
    """Usable questions.

    Attributes:
        items: by benchmark; empty for one without questions.
        clouds: by record, the hash of its cloud; empty if no cloud is shown.
        notes: what the report must say about them.

    """

    items: Mapping[str, Sequence[EvaluationItem]]
    clouds: Mapping[str, str]
    notes: tuple[str, ...]


def has_train_split(content: EvaluationContent) -> bool:
    """Whether the dataset has training records, of which the text floor is made."""
    return TRAIN in content.dataset.splits and len(content.dataset.records(TRAIN)) > 0


@dataclass(frozen=True)
class QuestionReader:
    """Reader of the questions of an evaluation, and of the clouds behind them.

    Attributes:
        content: what is evaluated.
        settings: split, limit and seed.
        model: that is asked.
        reporter: where progress goes.
        reads_training: whether training records say which objects are unseen.

    """

    content: EvaluationContent
    settings: EvaluationSettings
    model: EvaluatedModel
    reporter: Reporter
    reads_training: bool

    def read(self) -> EvaluationQuestions:
        """Collect the questions of all benchmarks, and read every cloud that they show.

        Raises:
            ConfigError: there is no such split.
            DataError: there is no question, or data are bad and not to be skipped; bad records are listed together.

        """
        content, split = self.content, self.settings.split
        if split not in content.dataset.splits:
            raise ConfigError(f"--split {split}: {describe_unknown('split', split, content.dataset.splits)}")
        collected = self._collect()
        records = dict.fromkeys(item.question.record_id for items in collected.values() for item in items)
        clouds, left_out = self._read_clouds([*records] if content.shows_clouds else [])
        checks = QuestionChecks(content.dataset, self.model.special_tokens)
        items = {name: checks.select_answerable(some, left_out) for name, some in collected.items()}
        for name, some in items.items():
            if some:
                try_scoring(content.benchmarks[name], some[0].question)
        notes = [self._describe_lack(name) for name, some in collected.items() if not some]
        if not any(items.values()):
            none = f"{content.dataset_name}: split {split!r} has no question for any of {', '.join(items)}"
            raise DataError("\n".join([none, *notes]))
        return EvaluationQuestions(items, clouds, tuple(notes))

    def _collect(self) -> dict[str, list[EvaluationItem]]:
        """The questions of each benchmark."""
        dataset, settings = self.content.dataset, self.settings
        is_unseen = make_unseen_test(dataset) if self.reads_training and has_train_split(self.content) else None
        choice: dict[str, Any] = {"split": settings.split, "seed": settings.seed, "limit": settings.limit}
        try:
            return {
                name: collect_questions(benchmark, dataset, is_unseen=is_unseen, **choice)
                for name, benchmark in self.content.benchmarks.items()
            }
        except DataError:  # a benchmark may read clouds, to make twins of their objects
            if dataset.on_bad_data == "stop":
                self._read_clouds([record.id for record in dataset.records(settings.split) if record.has_cloud])
            raise

    def _read_clouds(self, record_ids: Sequence[str]) -> tuple[dict[str, str], set[str]]:
        """Hashes of the clouds of records, and the records whose clouds are bad."""
        if not record_ids:
            return {}, set()
        dataset, hashes, errors = self.content.dataset, dict[str, str](), dict[str, str]()
        least = self.model.encoder.min_points
        with self.reporter.track(len(record_ids), "reading clouds") as advance:
            for record_id in record_ids:
                try:
                    hashes[record_id] = _hash_cloud(dataset.record(record_id), least)
                except DataError as error:
                    errors[record_id] = str(error)
                advance(1)
                if len(errors) >= SHOWN and dataset.on_bad_data == "stop":
                    break
        if errors and dataset.on_bad_data == "stop":
            raise bad_records([*errors.values()], complete=len(errors) < SHOWN)
        dataset.skip_log.add(*errors.values())
        return hashes, {*errors}

    def _describe_lack(self, name: str) -> str:
        split, dataset = self.settings.split, self.content.dataset
        lack = describe_lack(self.content.benchmarks[name], dataset.records(split))
        return f"{name}: no question for it in split {split} of {self.content.dataset_name}: {lack}"


def _hash_cloud(record: Record, min_points: int) -> str:
    """Hash of the unprepared cloud of a record; raises `RecordError` if it is bad."""
    cloud = load_valid_cloud(record, min_points=min_points, requested_by="the model's encoder")
    sha = hashlib.sha256(f"{cloud.shape}{cloud.dtype}{record.has_color}".encode())
    sha.update(np.ascontiguousarray(cloud).tobytes())
    return sha.hexdigest()[:16]
