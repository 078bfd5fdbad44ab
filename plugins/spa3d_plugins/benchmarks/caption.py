"""Benchmark ``caption``: share of the reference's facts that a generated caption states.

Only facts of the record that the reference states count (`spa3d.metrics.text_matching.asserts_fact`). A color or a
count must be next to the name of its part. Wrong additions do not lower the value: the share of stated facts that are
false stands beside it, as the measure ``false_facts``. Where the reference states no fact, the value is the word F1 of
both captions. BLEU, ROUGE, METEOR, CIDEr-D and embedding similarity are further measures on request
(`spa3d.metrics.caption_scores`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, field_validator, model_validator

from spa3d.contracts.benchmark import Benchmark, Measures, Prediction, Question, Verdict
from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.dataset import Dataset, Fact, Record, Round
from spa3d.data.questions import keyed_sample
from spa3d.errors import ConfigError
from spa3d.metrics.caption_scores import CaptionScorer, Family
from spa3d.metrics.rouge import split_sentences
from spa3d.metrics.text_matching import asserts_fact, stated_answers, token_f1, words
from spa3d_plugins.benchmarks.prompts import check_prompt, find_prompt, mark_id

FALSE_FACTS = "false_facts"
"""Name of the share of stated facts that are false."""


PROMPTS = {
    "detail": "Caption this 3D model in detail.",
    "short": "Caption this 3D model in no more than 20 words.",
}
"""Prompts by name: PointLLM's, and one for the short captions of SPA's table 1.

SPA's paper asks for at most 20 words and does not give its wording; this one is spa3d's.
"""


class Config(ComponentConfig):
    """Question, number of captions, and further scores."""

    prompt: str = ""
    """detail (PointLLM's), short (at most 20 words), or a question; empty: the dataset's own."""
    scores: tuple[Family, ...] = ()
    """Further columns: bleu, rouge, meteor (needs WordNet), meteor_nosyn, cider (CIDEr-D), embedding."""
    embedding_model: str = ""
    """Folder of a sentence-transformers model, for the score ``embedding``."""
    limit: int = Field(400, ge=1, le=10**9)
    """Maximum number of captions per split (a keyed sample)."""

    @field_validator("prompt")
    @classmethod
    def _check_prompt(cls, value: str) -> str:
        return check_prompt(value, PROMPTS)

    @model_validator(mode="after")
    def _check_model(self) -> Config:
        if "embedding" in self.scores and not self.embedding_model:
            raise ValueError("the score embedding needs embedding_model, the folder of a sentence-transformers model")
        return self


class Caption(Benchmark):
    """Captioning of each record that has a caption.

    Raises:
        ConfigError: the package, the data or the model of a further score is missing.

    """

    Config = Config

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._scorer = CaptionScorer(self.config.scores, self.config.embedding_model)
        try:
            self._scorer.check()
        except ConfigError as error:
            raise ConfigError([f"benchmark caption, scores: {line}" for line in error.errors]) from error

    def questions(self, dataset: Dataset, split: str, seed: int) -> Sequence[Question]:
        """Make one question per captioned record, with the facts that its reference states."""
        records = dataset.records(split)
        captioned = [(number, caption) for number, record in enumerate(records) if (caption := record.caption_round)]
        kept = keyed_sample(captioned, self.config.limit, seed, split, "caption")
        return tuple(self._question(records[number], caption) for number, caption in kept)

    def score(self, question: Question, prediction: Prediction) -> Verdict:
        """Share of the question's facts that the caption states, or F1 with the reference.

        An answer without a word is invalid.
        """
        text = prediction.text
        if not words(text):
            return Verdict(0.0, valid=False)
        if not question.facts:
            return Verdict(token_f1(text, question.answer))
        subjects = {fact.subject for fact in question.facts}
        stated = [(fact.answer, stated_answers(text, fact, subjects)) for fact in question.facts]
        right = sum(answer in answers for answer, answers in stated)
        total = sum(len(answers) for _, answers in stated)
        measures = {FALSE_FACTS: (total - right) / total} if total else {}
        return Verdict(right / len(question.facts), measures=measures)

    def measure_set(self, questions: Sequence[Question], predictions: Sequence[Prediction]) -> Sequence[Measures]:
        """Compute the further scores; ROUGE of a caption without a sentence is 0."""
        references = [question.answer for question in questions]
        columns = self._scorer.score([prediction.text for prediction in predictions], references)
        return [
            {
                name: value or 0.0
                for name, column in columns.items()
                if (value := column[i]) is not None or split_sentences(reference)
            }
            for i, reference in enumerate(references)
        ]

    def chance(self, question: Question) -> float:
        """Chance level: 0."""
        return 0.0

    def _question(self, record: Record, caption: Round) -> Question:
        prompt = self.config.prompt
        return Question(
            id=mark_id(f"{record.id}/caption", prompt, PROMPTS),
            record_id=record.id,
            prompt=find_prompt(prompt, PROMPTS, caption.question),
            options=None,
            answer=caption.answer,
            kind="caption",
            facts=_select_stated(caption.answer, record.facts),
        )


def _select_stated(text: str, facts: Sequence[Fact]) -> tuple[Fact, ...]:
    subjects = {fact.subject for fact in facts}
    return tuple(fact for fact in facts if asserts_fact(text, fact, subjects))
