"""Benchmark ``classify``: the object's category, from a free answer or by likelihood.

The setting ``closed`` says how the categories of the split are used:

- ``mention``: the one that a free answer mentions first counts (`spa3d.metrics.text_matching.first_mentioned`).
- ``likelihood``: they are the options, and the most likely one is the answer.
- ``none``: not at all. A free answer is right if it mentions the category anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from spa3d.contracts.benchmark import Benchmark, Prediction, Question, Verdict
from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.dataset import Dataset, Fact, Record
from spa3d.data.questions import keyed_sample
from spa3d.metrics.text_matching import asserts_fact, mentions, words
from spa3d_plugins.benchmarks.prompts import check_prompt, find_prompt, mark_id

PROMPTS = {"instruction": "What is this?", "completion": "This is an object of "}
"""PointLLM's two prompts for classification; the second ends with a space."""


class Config(ComponentConfig):
    """Question and number of questions."""

    prompt: str = ""
    """instruction ("What is this?"), completion ("This is an object of "), or a question; empty: the dataset's own."""
    closed: Literal["mention", "likelihood", "none"] = "mention"
    """Categories: the first mentioned counts; options, picked by likelihood; or none: any mention of the right one."""
    limit: int = Field(400, ge=1, le=10**9)
    """Maximum number of questions per split (a keyed sample)."""

    @field_validator("prompt")
    @classmethod
    def _check_prompt(cls, value: str) -> str:
        return check_prompt(value, PROMPTS)


class Classify(Benchmark):
    """Classification; records without a category are skipped."""

    Config = Config

    def questions(self, dataset: Dataset, split: str, seed: int) -> Sequence[Question]:
        """Make one question per record with a category; all have the same text."""
        labeled = [(record.id, record.category) for record in dataset.records(split) if record.category]
        if not labeled:
            return ()
        names = tuple(sorted({category for _, category in labeled}))
        own = _find_category_question(dataset.records(split)) or PROMPTS["instruction"]
        prompt = find_prompt(self.config.prompt, PROMPTS, own)
        return tuple(
            Question(
                id=mark_id(f"{record_id}/category", self.config.prompt, PROMPTS),
                record_id=record_id,
                prompt=prompt,
                options=names if self.config.closed == "likelihood" else None,
                answer=category,
                kind="category",
                facts=(Fact("category", "", prompt, category, names),),
            )
            for record_id, category in keyed_sample(labeled, self.config.limit, seed, split, "classify")
        )

    def score(self, question: Question, prediction: Prediction) -> Verdict:
        """1 if the answer names the category, else 0.

        An answer without a word is invalid, and so is one that is none of the options.
        """
        text, answer = prediction.text, question.answer
        if question.options:
            return Verdict(float(text == answer), valid=text in question.options)
        if self.config.closed == "none":
            right = mentions(text, answer)
        else:
            right = all(asserts_fact(text, fact) for fact in question.facts)
        return Verdict(float(right), valid=bool(words(text)))

    def chance(self, question: Question) -> float:
        """Chance level: 1 / number of the split's categories; 0 if they are not used."""
        return 0.0 if self.config.closed == "none" else 1 / len(question.facts[0].options)


def _find_category_question(records: Sequence[Record]) -> str | None:
    """Find the dataset's own question about the category."""
    return next((fact.question for record in records for fact in record.facts if fact.kind == "category"), None)
