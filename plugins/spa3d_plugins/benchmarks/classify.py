"""Benchmark ``classify``: free-form answer on the object's category, correct if it names it.

The category that the answer mentions first counts (`spa3d.metrics.text_matching.first_mentioned`), among the
categories of the split.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from spa3d.contracts.benchmark import Benchmark, Prediction, Question, Verdict
from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.dataset import Dataset, Fact, Record
from spa3d.data.questions import keyed_sample
from spa3d.metrics.text_matching import asserts_fact, words

PROMPT = "What is this?"
"""PointLLM's first question for classification."""


class Config(ComponentConfig):
    """Question and number of questions."""

    prompt: str = ""
    """The question; empty: the dataset's own question about the category, or else "What is this?"."""
    limit: int = Field(400, ge=1, le=10**9)
    """Maximum number of questions per split (a keyed sample)."""


class Classify(Benchmark):
    """Free-form classification; records without a category are skipped."""

    Config = Config
    requires = "records with a category"

    def questions(self, dataset: Dataset, split: str, seed: int) -> Sequence[Question]:
        """Make one question per record with a category; all have the same text."""
        labeled = [(record.id, record.category) for record in dataset.records(split) if record.category]
        if not labeled:
            return ()
        names = tuple(sorted({category for _, category in labeled}))
        prompt = self.config.prompt or _find_category_question(dataset.records(split)) or PROMPT
        return tuple(
            Question(
                id=f"{record_id}/category",
                record_id=record_id,
                prompt=prompt,
                options=None,
                answer=category,
                kind="category",
                facts=(Fact("category", "", prompt, category, names),),
            )
            for record_id, category in keyed_sample(labeled, self.config.limit, seed, split, "classify")
        )

    def score(self, question: Question, prediction: Prediction) -> Verdict:
        """1 if the answer names the category, else 0; an answer without a word is invalid."""
        right = all(asserts_fact(prediction.text, fact) for fact in question.facts)
        return Verdict(float(right), valid=bool(words(prediction.text)))

    def chance(self, question: Question) -> float:
        """Chance level: 1 / number of the split's categories."""
        return 1 / len(question.facts[0].options)


def _find_category_question(records: Sequence[Record]) -> str | None:
    """Find the dataset's own question about the category."""
    return next((fact.question for record in records for fact in record.facts if fact.kind == "category"), None)
