"""Checks of the questions of a benchmark before a model is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from spa3d.contracts.benchmark import Benchmark, Prediction, Question, score_prediction
from spa3d.contracts.dataset import Dataset, Record, Round
from spa3d.errors import DataError, error_context
from spa3d.evaluation.question_sets import EvaluationItem
from spa3d.model.special_tokens import reject_special_tokens


@dataclass(frozen=True)
class QuestionChecks:
    """Checks of questions about a dataset.

    Attributes:
        dataset: its ``on_bad_data`` says whether to stop or skip.
        special_tokens: tokens of the model that no text may contain.

    """

    dataset: Dataset
    special_tokens: Collection[str]

    def select_answerable(self, items: Sequence[EvaluationItem], left_out: Collection[str]) -> list[EvaluationItem]:
        """The usable questions, about records that are not left out; of a pair both members or none."""
        lost = [item for item in items if item.question.record_id in left_out or not self._is_fit(item.question)]
        ids, pairs = {item.question.id for item in lost}, {item.pair_id for item in lost if item.pair_id is not None}
        return [item for item in items if item.question.id not in ids and item.pair_id not in pairs]

    def _is_fit(self, question: Question) -> bool:
        """Whether the text is usable; if not, raise `DataError` or add to the skip log."""
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


def try_scoring(benchmark: Benchmark, question: Question) -> None:
    """Let `benchmark` judge the right answer; raises `PluginError` for a broken verdict."""
    options = question.options or ()
    logp = tuple(0.0 if option == question.answer else -1.0 for option in options)
    score_prediction(benchmark, question, Prediction(question.answer, logp, (1,) * len(options)))


def describe_lack(benchmark: Benchmark, records: Sequence[Record]) -> str:
    """Describe what a benchmark without a question needs of records, and what these have."""
    kinds, there = Counter[str](), Counter[str]()
    for record in records:
        there["a caption"] += record.caption is not None
        there["facts"] += bool(record.facts)
        there["a category"] += record.category is not None
        kinds.update({conversation.kind for conversation in record.conversations})
    have = [f"{count:,} have {what}" for what, count in there.items()]
    have += [f"{count:,} have conversations of the kind {kind}" for kind, count in kinds.items()]
    needs = f"it needs {benchmark.requires}; " if benchmark.requires else ""
    return f"{needs}of the {len(records):,} records {', '.join(have)}" if records else f"{needs}there is no record"
