"""Checks of the records and questions of a run, before any work is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from spa3d.config.evaluate_settings import EvaluateSettings
from spa3d.config.settings import TrainSettings
from spa3d.contracts.dataset import Dataset, Record, Round
from spa3d.contracts.objective import asks_for_twins
from spa3d.data.cloud_checks import reject_coarse
from spa3d.data.preparation import load_valid_cloud
from spa3d.data.relevance import list_facts
from spa3d.errors import ConfigError, DataError, PluginError, error_context
from spa3d.evaluation.question_sets import EvaluationItem, collect_questions, make_unseen_test
from spa3d.model.special_tokens import reject_special_tokens
from spa3d.pipeline.parts import Parts
from spa3d.pipeline.question_checks import QuestionChecks, try_scoring
from spa3d.runtime.progress import Reporter, SilentReporter

WORTH_SHOWING = 50_000
"""Records from which on the progress of reading their texts is reported."""
Questions = Mapping[str, Sequence[EvaluationItem]]
"""The questions of each benchmark."""


@dataclass(frozen=True)
class RunData:
    """The usable records of a run.

    Attributes:
        splits: by split, the usable records.
        left_out: by split, ids of the skipped records.

    """

    splits: Mapping[str, Sequence[Record]]
    left_out: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def split(self, name: str) -> Sequence[Record]:
        """The records of a split; empty if there is no such split."""
        return self.splits.get(name, ())


class DataChecks:
    """Reads the records and questions of a run, and finds the unusable ones.

    Args:
        parts: components of the run; the dataset's ``on_bad_data`` says whether to stop or skip.
        blind: whether the model never gets a cloud; clouds are not checked then.
        reporter: where progress goes.

    """

    def __init__(self, parts: Parts, *, blind: bool, reporter: Reporter) -> None:
        self.parts, self.blind, self.reporter = parts, blind, reporter
        self.dataset = parts.dataset

    def read(self) -> RunData:
        """The usable records of every split.

        With ``--on-bad-data skip`` each record is read once, and bad ones are listed. Otherwise nothing is read.
        """
        if self.dataset.on_bad_data == "stop":
            return unchecked_data(self.parts)
        splits: dict[str, Sequence[Record]] = {}
        left_out: dict[str, frozenset[str]] = {}
        for split in self.dataset.splits:
            splits[split], lost = self._select_usable(split)
            if lost:
                left_out[split] = lost
        return RunData(splits, left_out)

    def questions(self, data: RunData, settings: EvaluateSettings) -> Questions:
        """The questions of each benchmark.

        Raises:
            DataError: a split is empty, there is no question, or a question is unusable.

        """
        self._refuse_empty(data, settings.split)
        name, by_benchmark = self.parts.names["dataset"], dict[str, list[EvaluationItem]]()
        is_unseen = make_unseen_test(self.dataset)
        for benchmark, asks in self.parts.benchmarks.items():
            items = collect_questions(
                asks,
                self.dataset,
                split=settings.split,
                seed=settings.seed,
                limit=settings.limit,
                is_unseen=is_unseen,
            )
            by_benchmark[benchmark] = self.select_answerable(items, data)
            if by_benchmark[benchmark]:
                try_scoring(asks, by_benchmark[benchmark][0].question)
            else:
                self.reporter.say(f"{benchmark}: dataset {name} has no question for it in split {settings.split}")
        if not any(by_benchmark.values()):
            raise DataError(f"--benchmark {', '.join(by_benchmark)}: dataset {name} has no question for any of them")
        return by_benchmark

    def note_conversion(self, data: RunData) -> None:
        """Note the type of the clouds, if it is converted: that of the first training record."""
        record = next((record for record in data.split("train") if record.has_cloud), None)
        if record is None or self.blind:
            return
        with suppress(DataError):  # raised where the cloud is needed
            if record.cloud().dtype == np.float64:
                self.dataset.skip_log.note(
                    "the clouds are float64: each is normalized in float64 and then rounded to float32"
                    if self.parts.preparation["normalize"]
                    else "the clouds are float64: each is rounded to float32 where it stands (--points.normalize false)"
                )

    def select_answerable(self, items: Sequence[EvaluationItem], data: RunData) -> list[EvaluationItem]:
        """The usable questions; of a pair both members or none."""
        checks = QuestionChecks(self.dataset, self.parts.special_tokens)
        return checks.select_answerable(items, set().union(*data.left_out.values()))

    def check(self, record: Record) -> None:
        """Raise `DataError` if training or evaluation would fail at `record`."""
        if record.has_cloud and not self.blind:
            needs = f"encoder {self.parts.names['encoder']}"
            cloud = load_valid_cloud(record, min_points=self.parts.min_points, requested_by=needs)
            if not self.parts.preparation["normalize"]:
                reject_coarse(cloud[:, :3], np.dtype(np.float32), f"record {record.id}: with --points.normalize false")
        self._check_texts(record)

    def check_records(self, data: RunData) -> None:
        """Check the ids of all records, and the texts of train and val; no cloud is read.

        Raises:
            PluginError: an id is not unique.
            RecordError: a text holds a special token.

        """
        splits = dict[str, str]()
        for split, records in data.splits.items():
            reporter = self.reporter if len(records) >= WORTH_SHOWING else SilentReporter()
            # `read` has checked the texts with --on-bad-data skip, and `questions` checks those of the other splits.
            texts = self.dataset.on_bad_data == "stop" and split in ("train", "val")
            with reporter.track(len(records), f"reading the texts of {split}") as advance:
                for record in records:
                    if record.id in splits:
                        places = " and ".join(dict.fromkeys([f"split {splits[record.id]}", f"split {split}"]))
                        wrong = f"two records of {places} have the id {record.id!r}; ids are unique over all splits"
                        raise PluginError.by(self.dataset, wrong)
                    splits[record.id] = split
                    if texts:
                        self._check_texts(record)
                    advance(1)

    def _check_texts(self, record: Record) -> None:
        rounds = (turn for conversation in record.conversations for turn in conversation.rounds)
        facts = (Round(fact.question, fact.full_answer) for fact in record.facts)
        with error_context(record.id):
            reject_special_tokens((*rounds, *facts), self.parts.special_tokens)

    def _refuse_empty(self, data: RunData, reported: str) -> None:
        for what, split in (("to train on", "train"), ("to report on (--evaluate.split)", reported)):
            if not data.split(split):
                there = ", ".join(f"{name} ({len(records)})" for name, records in data.splits.items())
                hint = "; spa3d.evaluate in Python needs no training data" if split == "train" else ""
                raise DataError(
                    f"dataset {self.parts.names['dataset']} has no record {what} in split {split!r}; there are: "
                    f"{there}{hint}"
                )

    def _select_usable(self, split: str) -> tuple[list[Record], frozenset[str]]:
        """The usable records of `split`, and the ids of the others."""
        records = self.dataset.records(split)
        usable, skipped = list[Record](), set[str]()
        with self.reporter.track(len(records), f"checking {split}") as advance:
            for record in records:
                try:
                    self.check(record)
                    usable.append(record)
                except DataError as error:
                    skipped.add(record.id)
                    self.dataset.skip_log.add(str(error))
                advance(1)
        return usable, frozenset(skipped)


def unchecked_data(parts: Parts) -> RunData:
    """All records of every split, without reading them."""
    return RunData({split: parts.dataset.records(split) for split in parts.dataset.splits})


def held_out_records(train: TrainSettings, records: Sequence[Record], *, blind: bool) -> Sequence[Record]:
    """The records for the held-out slice; none if blind, or with fewer than two in `records`.

    Args:
        train: settings of post-training.
        records: of the split val.
        blind: whether the model never gets a cloud.

    Raises:
        ConfigError: there are none, and a setting needs them.

    """
    if not blind and len(records) > 1:
        return records
    flags = ["--train.early_stop"] * train.early_stop + ["--train.keep best"] * (train.keep == "best")
    if flags:
        why = "with --blind no cloud is shown" if blind else "split val has fewer than two records"
        raise ConfigError(f"{' and '.join(flags)}: there are no held-out records, because {why}; leave it out")
    return ()


def refuse_twinless(parts: Parts, records: Sequence[Record]) -> None:
    """Refuse training records without any twin if the objective needs twins.

    Raises:
        DataError: no record has a twin, so the twin term would have no effect.

    """
    dataset = parts.dataset
    if asks_for_twins(parts.objective.needs) and all(dataset.twin(record, 0) is None for record in records):
        raise DataError(
            f"--objective {parts.names['objective']}: none of the {len(records)} training records of dataset "
            f"{parts.names['dataset']} has a twin; where clouds come from files, twins need facts about main_color or "
            "shape that agree with the cloud (docs/clouds.md, Twins)"
        )


def check_relevance(dataset: Dataset, train: TrainSettings, records: Sequence[Record]) -> None:
    """Check that there are relevance questions if some are to be trained on.

    A note says how many training records have none.

    Raises:
        DataError: none has one, so the share would have no effect.

    """
    if not train.relevance_share:
        return
    able, flag = sum(bool(list_facts(record)) for record in records), f"--train.relevance_share {train.relevance_share}"
    kinds = {record.category for record in records if record.category is not None}
    if not able or len(kinds) < 2:
        raise DataError(
            f"{flag}: {able} of the {len(records)} training records have a category and a fact with four options, of "
            f"{len(kinds)} categories; a question that another object lacks needs facts and two categories. Leave it "
            "out, or give the dataset facts (docs/benchmarks.md, relevance)"
        )
    if able < len(records):
        dataset.skip_log.note(
            f"{flag}: {len(records) - able} of {len(records)} training records have no relevance question (no "
            "category, or no fact with four options) and keep their conversations"
        )
