"""Checks of the data of a run: records that can be read, questions that can be asked, before any work is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spa3d.config.settings import EvaluateSettings, TrainSettings
from spa3d.contracts.benchmark import Question
from spa3d.contracts.dataset import Record, Round
from spa3d.contracts.objective import asks_for_twins
from spa3d.data.preparation import load_valid_cloud
from spa3d.errors import ConfigError, DataError, error_context
from spa3d.evaluation.question_sets import EvaluationItem, collect_questions
from spa3d.model.special_tokens import reject_special_tokens
from spa3d.pipeline.parts import Parts
from spa3d.runtime.progress import Reporter

Questions = Mapping[str, Sequence[EvaluationItem]]
"""By benchmark, what is asked."""


@dataclass(frozen=True)
class RunData:
    """The records that a run may use.

    Attributes:
        splits: by split, the records that can be read.
        left_out: by split, ids of those that cannot and are skipped.

    """

    splits: Mapping[str, Sequence[Record]]
    left_out: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def split(self, name: str) -> Sequence[Record]:
        """The records of a split; none where there is no such split."""
        return self.splits.get(name, ())


class DataChecks:
    """Reads the records and questions of a run, as far as they are fit for its model.

    Args:
        parts: components of the run; its dataset says what to do with bad data.
        special_tokens: tokens that no text may hold.
        blind: whether no cloud is ever shown, so that clouds need not be fit.
        reporter: where progress goes.

    """

    def __init__(self, parts: Parts, special_tokens: Sequence[str], *, blind: bool, reporter: Reporter) -> None:
        self.parts, self.special_tokens, self.blind, self.reporter = parts, special_tokens, blind, reporter
        self.dataset = parts.dataset

    def read(self) -> RunData:
        """The usable records of every split.

        Where bad data are skipped each record is read once, and bad ones are listed; otherwise nothing is read yet.
        """
        if self.dataset.on_bad_data == "stop":
            return unchecked_data(self.parts)
        splits: dict[str, Sequence[Record]] = {}
        left_out: dict[str, frozenset[str]] = {}
        for split in self.dataset.splits:
            splits[split], lost = self._usable(split)
            if lost:
                left_out[split] = lost
        return RunData(splits, left_out)

    def questions(self, data: RunData, settings: EvaluateSettings) -> Questions:
        """What each benchmark asks.

        Raises:
            DataError: there is nothing to train on, to report on or to ask, or a question cannot be asked.

        """
        self._refuse_empty(data, settings.split)
        name, found = self.parts.names["dataset"], dict[str, list[EvaluationItem]]()
        for benchmark, asks in self.parts.benchmarks.items():
            items = collect_questions(
                asks, self.dataset, split=settings.split, seed=settings.seed, limit=settings.limit
            )
            found[benchmark] = self.answerable(items, data)
            if not found[benchmark]:
                self.reporter.say(f"{benchmark}: dataset {name} gives it nothing to ask in split {settings.split}")
        if not any(found.values()):
            raise DataError(f"--benchmark {', '.join(found)}: dataset {name} gives none of them a question")
        return found

    def answerable(self, items: Sequence[EvaluationItem], data: RunData) -> list[EvaluationItem]:
        """Those that can be asked; of a pair both members or none."""
        left_out = set().union(*data.left_out.values())
        lost = [item for item in items if item.question.record_id in left_out or not self._is_fit(item.question)]
        ids, pairs = {item.question.id for item in lost}, {item.pair_id for item in lost if item.pair_id is not None}
        return [item for item in items if item.question.id not in ids and item.pair_id not in pairs]

    def _refuse_empty(self, data: RunData, reported: str) -> None:
        for what, split in (("to train on", "train"), ("to report on (--evaluate.split)", reported)):
            if not data.split(split):
                there = ", ".join(f"{name} ({len(records)})" for name, records in data.splits.items())
                raise DataError(
                    f"dataset {self.parts.names['dataset']} has no record {what} in split {split!r}; there are: {there}"
                )

    def _usable(self, split: str) -> tuple[list[Record], frozenset[str]]:
        """The records of `split` that can be read, and the ids of the others."""
        records = self.dataset.records(split)
        good, lost = list[Record](), set[str]()
        with self.reporter.track(len(records), f"checking {split}") as advance:
            for record in records:
                try:
                    self._check(record)
                    good.append(record)
                except DataError as error:
                    lost.add(record.id)
                    self.dataset.skip_log.add(str(error))
                advance(1)
        return good, frozenset(lost)

    def _check(self, record: Record) -> None:
        """Raise `DataError` where training or measuring would stop at `record`."""
        if not self.blind:
            needs = f"encoder {self.parts.names['encoder']}"
            load_valid_cloud(record, min_points=self.parts.min_points, requested_by=needs)
        with error_context(record.id):
            reject_special_tokens(
                (turn for conversation in record.conversations for turn in conversation.rounds), self.special_tokens
            )

    def _is_fit(self, question: Question) -> bool:
        """Whether the text can be asked; an error ends the run, or is listed where bad data are skipped."""
        try:
            with error_context(question.record_id):
                texts = [Round(question.prompt, option) for option in question.options or (question.answer,)]
                reject_special_tokens(texts, self.special_tokens)
        except DataError as error:
            if self.dataset.on_bad_data == "stop":
                raise
            self.dataset.skip_log.add(str(error))
            return False
        return True


def unchecked_data(parts: Parts) -> RunData:
    """All records of every split, none of them read."""
    return RunData({split: parts.dataset.records(split) for split in parts.dataset.splits})


def held_out_records(train: TrainSettings, records: Sequence[Record], *, blind: bool) -> Sequence[Record]:
    """The records that the held-out slice is taken from; none without clouds, or with fewer than two in `records`.

    Args:
        train: settings of post-training.
        records: of the split val.
        blind: whether no cloud is ever shown.

    Raises:
        ConfigError: there are none, and a setting depends on them.

    """
    if not blind and len(records) > 1:
        return records
    asked = ["--train.early_stop"] * train.early_stop + ["--train.keep best"] * (train.keep == "best")
    if asked:
        why = "with --blind no cloud is shown" if blind else "split val has fewer than two records"
        raise ConfigError(f"{' and '.join(asked)}: nothing is held out to go by, for {why}; leave it out")
    return ()


def refuse_twinless(parts: Parts, records: Sequence[Record]) -> None:
    """Refuse training records without any twin where the objective asks for twins.

    Raises:
        DataError: without any twin the objective would silently be another one.

    """
    dataset = parts.dataset
    if asks_for_twins(parts.objective.needs) and all(dataset.twin(record, 0) is None for record in records):
        raise DataError(
            f"--objective {parts.names['objective']}: none of the {len(records)} training records of dataset "
            f"{parts.names['dataset']} has a twin; where clouds come from files, twins need facts about main_color or "
            "shape that agree with the cloud (README, Your own clouds)"
        )
