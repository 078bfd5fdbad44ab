"""Benchmark ``relevance``: questions with their own cloud and with another's (3D-RDQA).

The options are four answers and "cannot be answered from this object". A pair counts only if both answers are right, so
a model that ignores the cloud scores 0. ``easy``: the other object lacks what is asked about, and the refusal is right.
``hard``: it has it, with another answer, which is right then. The paper (arXiv 2506.05318) does not give its wording.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Literal

from pydantic import Field

from spa3d.contracts.benchmark import Benchmark, Detection, Prediction, Question, Verdict
from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.dataset import Dataset
from spa3d.data.questions import LETTERS, append_options
from spa3d.data.relevance import ask
from spa3d_plugins.benchmarks.relevance_blocks import Blocks, Exchange, Kind

DIGITS = 4
"""Decimals of a margin in nats: equal prompts give equal margins, whatever batch they are in."""


class Config(ComponentConfig):
    """Kinds and number of pairs, and form of the answers."""

    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("easy", "hard")
    """Pairs to ask: easy (the other object lacks what is asked about), hard (it has it, with another answer)."""
    limit: int = Field(400, ge=2, le=10**9)
    """Maximum number of records per split (a keyed sample, one per group of look-alikes)."""
    answer_style: Literal["text", "letter"] = "text"
    """Score the options' texts, or their letters; letters need an LLM trained to answer with letters."""


class Relevance(Benchmark):
    """Pairs of equal questions about two clouds, with different right answers.

    The most likely option is the answer, of equal ones the first.
    """

    Config = Config
    requires = "facts with four or more options, and records of at least two categories and groups"

    def questions(self, dataset: Dataset, split: str, seed: int) -> Sequence[Question]:
        """Make the pairs of a split; its records need a category and facts of four options."""
        blocks = Blocks(dataset.records(split), limit=self.config.limit, key=(seed, split))
        hard = list(blocks.couple()) if "hard" in self.config.kinds else []
        coupled = [(exchanges[0].record, exchanges[0].other) for exchanges in hard]
        taken = {record.id for couple in coupled for record in couple}
        single = [(record,) for record in blocks.records if record.id not in taken]
        easy = blocks.join([*coupled, *single]) if "easy" in self.config.kinds else []
        exchanges = sorted(chain(*hard, *easy), key=lambda exchange: (exchange.kind, exchange.record.id))
        return tuple(question for exchange in exchanges for question in self._pair(exchange))

    def score(self, question: Question, prediction: Prediction) -> Verdict:
        """1 for the right option, 0 for another; an answer that is no option is invalid.

        Of easy pairs the margin of the four answers over the refusal is kept, in nats.
        """
        options, is_own = question.options or (), _is_own(question)
        value = float(prediction.text == question.answer)
        detections = {}
        if question.kind == "easy" and prediction.option_logp:
            detections["relevance"] = Detection(_margin(prediction.option_logp), is_own)
        measures = {"own_cloud" if is_own else f"{question.kind}_cloud": value}
        return Verdict(value, prediction.text in options, measures, detections)

    def chance(self, question: Question) -> float:
        """Chance level of one answer: 1 / number of options; of a pair it is the product."""
        return 1 / len(question.options or (question.answer,))

    def _pair(self, exchange: Exchange) -> tuple[Question, Question]:
        options, name = exchange.options, f"{exchange.record.id}/{exchange.kind}"
        answers = (exchange.fact.answer, exchange.other_answer)
        prompt = append_options(ask(exchange.record, exchange.fact), options)
        if self.config.answer_style == "letter":
            answers = (LETTERS[options.index(answers[0])], LETTERS[options.index(answers[1])])
            options = tuple(LETTERS[: len(options)])
        own, other = (
            Question(f"{name}-{side}", record.id, prompt, options, answer, exchange.kind, pair=name)
            for side, record, answer in zip(("own", "other"), (exchange.record, exchange.other), answers, strict=True)
        )
        return own, other


def _is_own(question: Question) -> bool:
    """Whether the shown cloud is that of the record that the question is about."""
    return question.pair == f"{question.record_id}/{question.kind}"


def _margin(logp: Sequence[float]) -> float:
    """Log p of any of the answers minus that of the refusal, which is the last option."""
    *answers, refusal = logp
    highest = max(answers)
    if highest == -math.inf or refusal == -math.inf:
        return highest if highest == -math.inf else math.inf
    return round(highest + math.log(sum(math.exp(each - highest) for each in answers)) - refusal, DIGITS)
