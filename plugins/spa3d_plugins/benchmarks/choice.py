"""Benchmark ``choice``: questions with options, by likelihood or by a generated letter.

The questions come from a file of ``spa3d build-questions``, or else from the records' facts. In a dataset without facts
the options are captions: the object's own caption and three captions of objects of other groups of the split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from spa3d.contracts.benchmark import Benchmark, Measures, Prediction, Question, Verdict
from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.dataset import Dataset, Fact, Record, Round
from spa3d.data.option_questions import OptionQuestion, read_option_questions, show_question
from spa3d.data.option_selection import select_option_questions
from spa3d.data.questions import (
    LETTERS,
    OPTIONS,
    draw_options,
    draw_pair_options,
    keyed_sample,
    mark_rotation,
    split_rotation,
)
from spa3d.errors import DataError
from spa3d.metrics.circular import list_rotations, score_groups
from spa3d.metrics.option_letters import extract_letter
from spa3d.metrics.text_matching import words
from spa3d.runtime.rng import keyed_generator

CONSISTENT = "consistent"
"""Measure: whether a question is right under every rotation of its options."""
Convention = Literal[
    "spa3d",
    "vlm_option",
    "vlm_text",
    "vlm_can_infer",
    "vlm_characters_regex",
    "lmms_mcq_extract",
    "lmms_mmmu",
    "lmms_3dsrbench",
    "lmms_vsibench_first_word",
    "lmms_mmbench",
]
"""Rules of `spa3d.metrics.option_letters`."""


class Config(ComponentConfig):
    """Source and number of questions, and form of the answers."""

    questions: Path | None = None
    """File of questions from spa3d build-questions; none: questions from the dataset's facts or captions."""
    kinds: tuple[str, ...] = ()
    """Kinds of questions (color, texture, ...) to ask; empty: all."""
    per_kind: int = Field(400, ge=1, le=10**9)
    """Maximum number of questions per kind (category, color, ...) and split (a keyed sample), to balance kinds."""
    flips: int = Field(400, ge=0, le=10**9)
    """Maximum number of minimal pairs (an object and its twin) per split."""
    answer_style: Literal["text", "letter", "letter-generated"] = "text"
    """Options by likelihood of their texts or of their letters, or the letter in a generated answer."""
    suffix: str = ""
    """Sentence below the options, such as "Answer with the letter only.", for questions that have none."""
    circular: bool = False
    """Ask each question once per rotation of its options; the measure consistent asks for all of them right."""
    letter_rule: Convention = "spa3d"
    """Rule that finds the letter in a generated answer: spa3d's, or that of another project."""


class Choice(Benchmark):
    """Multiple choice; of equally likely options the first is the answer.

    Raises:
        DataError: the file of questions cannot be read, or lines in it are no questions.

    """

    Config = Config
    requires = "facts with four or more options, or captions of objects of four groups"

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._from_file = () if self.config.questions is None else self._read(self.config.questions.expanduser())

    def questions(self, dataset: Dataset, split: str, seed: int) -> Sequence[Question]:
        """Make at most ``per_kind`` questions per kind, each in every rotation if ``circular``.

        The options of facts are drawn by (seed, record, kind, subject); those of a file keep their order.
        """
        if self._from_file:
            items = self._list_from_file(dataset, split, seed)
        else:
            items = self._list_from_facts(dataset.records(split), split, seed)
        if self.config.circular:
            items = [rotated for item in items for rotated in _rotate(item)]
        return tuple(map(self._make, items))

    def pairs(self, dataset: Dataset, split: str, seed: int) -> Sequence[tuple[Question, Question]]:
        """Pair objects with their twins: one question, the same options; at most ``flips`` pairs."""
        if self._from_file:
            return ()
        records = dataset.records(split)
        pairs: dict[int, tuple[Question, Question]] = {}
        for number in map(int, keyed_generator("pairs", seed, split).permutation(len(records))):
            if len(pairs) == self.config.flips:
                break
            twin = dataset.twin(records[number])
            options = twin and draw_pair_options(twin.before, twin.after, seed, records[number].id, "pair")
            if twin and options:
                pairs[number] = (
                    self._make(_describe(records[number].id, "pair", twin.before, options)),
                    self._make(_describe(twin.record.id, "pair", twin.after, options)),
                )
        return tuple(pairs[number] for number in sorted(pairs))

    def score(self, question: Question, prediction: Prediction) -> Verdict:
        """1 for the right option, 0 for another; an answer that is no option is invalid."""
        if question.options:
            return Verdict(float(prediction.text == question.answer), valid=prediction.text in question.options)
        shown = dict(zip(LETTERS, question.facts[0].options, strict=False))
        letter = extract_letter(prediction.text, shown, self.config.letter_rule)
        return Verdict(float(letter == question.answer), valid=letter is not None)

    def measure_set(self, questions: Sequence[Question], predictions: Sequence[Prediction]) -> Sequence[Measures]:
        """Whether a question is right under every rotation, if all of them are there."""
        if not self.config.circular:
            return [{}] * len(questions)
        keys = [split_rotation(question.id)[0] for question in questions]
        hits = [self.score(*pair).value == 1 for pair in zip(questions, predictions, strict=True)]
        right, passes = score_groups(keys, hits), Counter(keys)
        return [
            {CONSISTENT: float(right[key])} if question.id == key and passes[key] == _count(question) else {}
            for key, question in zip(keys, questions, strict=True)
        ]

    def chance(self, question: Question) -> float:
        """Chance level: 1 / number of options."""
        return 1 / _count(question)

    def _read(self, path: Path) -> tuple[OptionQuestion, ...]:
        try:
            questions = read_option_questions(path)
        except DataError as error:
            raise DataError(f"benchmark choice, questions: {error}") from error
        kinds = sorted({question.type for question in questions})
        kept = tuple(question for question in questions if self._is_asked(question.type))
        if not kept:
            chosen, there = ", ".join(self.config.kinds), ", ".join(kinds)
            raise DataError(f"benchmark choice: {path} has no questions of the kinds {chosen}; it has {there}")
        return kept

    def _is_asked(self, kind: str) -> bool:
        return not self.config.kinds or kind in self.config.kinds

    def _list_from_file(self, dataset: Dataset, split: str, seed: int) -> list[OptionQuestion]:
        selected = select_option_questions(self._from_file, dataset, split, path=self.config.questions)
        kinds = dict.fromkeys(question.type for question in selected)
        by_kind = ([each for each in selected if each.type == kind] for kind in kinds)
        most = self.config.per_kind
        return [*chain(*(keyed_sample(some, most, seed, split, some[0].type) for some in by_kind))]

    def _list_from_facts(self, records: Sequence[Record], split: str, seed: int) -> list[OptionQuestion]:
        usable: dict[str, list[tuple[int, int]]] = {}  # kind -> (record number, fact index)
        for number, record in enumerate(records):
            for index, fact in enumerate(record.facts):
                if len(fact.options) >= OPTIONS and self._is_asked(fact.kind):
                    usable.setdefault(fact.kind, []).append((number, index))
        if not usable:
            return self._list_from_captions(records, split, seed) if self._is_asked("caption") else []
        kept = [keyed_sample(facts, self.config.per_kind, seed, split, kind) for kind, facts in usable.items()]
        return [_draw_item(records[number], index, seed) for number, index in sorted(chain(*kept))]

    def _list_from_captions(self, records: Sequence[Record], split: str, seed: int) -> list[OptionQuestion]:
        captioned = [(record.id, record.group, caption) for record in records if (caption := record.caption_round)]
        items = []
        for record_id, group, caption in keyed_sample(captioned, self.config.per_kind, seed, split, "caption"):
            options = _other_captions(caption.answer, group, captioned, (seed, record_id))
            if options:
                fact = Fact("caption", "", caption.question, caption.answer, options)
                items.append(_describe(record_id, "caption", fact, options))
        return items

    def _make(self, item: OptionQuestion) -> Question:
        """Make the question in the style of the answers."""
        prompt = show_question(item.question, item.options, item.prompt_suffix or self.config.suffix)
        style, letters = self.config.answer_style, tuple(LETTERS[: len(item.options)])
        if style == "text":
            return Question(item.id, item.source, prompt, item.options, item.answer, item.type)
        if style == "letter":
            return Question(item.id, item.source, prompt, letters, item.letter, item.type)
        shown = Fact(item.type, "", item.question, item.answer, item.options)
        return Question(item.id, item.source, prompt, None, item.letter, item.type, (shown,))


def _draw_item(record: Record, index: int, seed: int) -> OptionQuestion:
    """Draw the options of a fact's question."""
    fact = record.facts[index]
    options = draw_options(fact, seed, record.id, fact.kind, fact.subject)
    return _describe(record.id, f"{index}-{fact.kind}", fact, options or fact.options)


def _describe(record_id: str, name: str, fact: Fact, options: tuple[str, ...]) -> OptionQuestion:
    """Describe the question of a fact as a file does."""
    index = options.index(fact.answer)
    return OptionQuestion(f"{record_id}/{name}", record_id, fact.kind, fact.question, options, index)


def _rotate(item: OptionQuestion) -> list[OptionQuestion]:
    """List all rotations of the options of a question."""
    return [
        replace(item, id=mark_rotation(item.id, steps), options=options, answer_index=options.index(item.answer))
        for steps, options in enumerate(list_rotations(item.options))
    ]


def _count(question: Question) -> int:
    """Number of shown options."""
    return len(question.options or question.facts[0].options)


def _other_captions(
    own: str, group: str, captioned: Sequence[tuple[str, str, Round]], key: tuple[int, str]
) -> tuple[str, ...] | None:
    """Shuffle `own` and three different captions of other groups; None where there are too few."""
    stream = keyed_generator("captions", *key)
    options, used = [own], {words(own)}
    for number in stream.permutation(len(captioned)):
        _, other, caption = captioned[number]
        if other != group and words(caption.answer) not in used:
            options.append(caption.answer)
            used.add(words(caption.answer))
        if len(options) == OPTIONS:
            return tuple(options[i] for i in stream.permutation(OPTIONS))
    return None
