"""Keys of answers, and what is asked again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from spa3d.contracts.benchmark import Prediction, Question
from spa3d.evaluation.answer_log import AnswerLog
from spa3d.evaluation.cached_predictor import AnswerKeys, CachedPredictor
from spa3d.inference.contrast import Contrast
from spa3d.inference.generation import Decoding
from spa3d.runtime.progress import SilentReporter

FREE = Question("r/free", "r", "What is this?", None, "a mug", "category")
CHOICE = Question("r/choice", "r", "Which?", ("a", "b"), "a", "color")
KEYS = AnswerKeys("model", lambda record: f"cloud of {record}", "noise", Decoding(max_tokens=64))


@dataclass(frozen=True)
class Fake:
    """Predictor that counts its batches and may be killed."""

    log_of_questions: list[str]
    decoding: Decoding = field(default_factory=Decoding)
    most: int = 99

    def answer_batches(self, questions: Sequence[Question], view: str) -> Iterator[tuple[list[int], list[Prediction]]]:
        for index, question in enumerate(questions):
            if len(self.log_of_questions) == self.most:
                raise KeyboardInterrupt
            self.log_of_questions.append(f"{view}:{question.id}")
            options = question.options or ()
            logp = tuple(-1.0 - number for number in range(len(options)))
            yield [index], [Prediction(options[0] if options else "text", logp, (1,) * len(options))]


def make_cached(fake: Fake, log: AnswerLog, keys: AnswerKeys = KEYS) -> CachedPredictor:
    source: Any = fake
    return CachedPredictor(lambda: source, keys, log)


@pytest.fixture
def log() -> AnswerLog:
    return AnswerLog(None, SilentReporter())


def key(question: Question = FREE, view: str = "clean", keys: AnswerKeys = KEYS, **decoding: Any) -> str:
    return replace(keys, decoding=replace(keys.decoding, **decoding)).make(question, view)


def test_a_key_holds_what_decides_an_answer_and_nothing_else() -> None:
    same = replace(FREE, id="other", kind="other", answer="other")
    assert key(same) == key()
    different = {
        key(),
        key(view="blind"),
        key(view="noised"),
        key(replace(FREE, prompt="What?")),
        key(replace(FREE, record_id="s")),
        key(replace(FREE, options=("a", "b"))),
        key(replace(FREE, options=("b", "a"))),
        key(keys=replace(KEYS, model="other")),
        key(keys=replace(KEYS, hash_cloud=lambda record: "other")),
        key(max_tokens=65),
        key(temperature=1.0),
        key(temperature=1.0, sample=1),
        key(temperature=1.0, top_k=5),
        key(contrast=Contrast()),
        key(contrast=Contrast(alpha=2)),
    }
    assert len(different) == 15


def test_blind_answers_do_not_depend_on_the_record_unless_they_are_drawn() -> None:
    other = replace(FREE, record_id="s")
    assert key(other, "blind") == key(FREE, "blind")
    assert key(other, "blind", temperature=1.0) != key(FREE, "blind", temperature=1.0)
    assert key(FREE, "blind", contrast=Contrast()) == key(FREE, "blind")
    assert key(keys=replace(KEYS, noise="other")) == key()
    assert key(view="noised", keys=replace(KEYS, noise="other")) != key(view="noised")


def test_options_do_not_depend_on_the_decoding_of_free_answers() -> None:
    assert key(CHOICE) == key(CHOICE, temperature=1.0, max_tokens=3, seed=5, sample=2)
    assert key(CHOICE, contrast=Contrast()) != key(CHOICE)


def test_equal_questions_are_asked_once(log: AnswerLog) -> None:
    fake, items = Fake([]), [FREE, CHOICE, replace(FREE, id="again"), replace(FREE, id="s/free", record_id="s")]
    predictor, advanced = make_cached(fake, log), list[int]()
    answers = predictor.answer(items, "clean", advanced.append)
    assert [answer.text for answer in answers] == ["text", "a", "text", "text"]
    assert fake.log_of_questions == ["clean:r/free", "clean:r/choice", "clean:s/free"]
    assert (predictor.new, sum(advanced)) == (3, 4)
    predictor.answer(items, "blind", advanced.append)
    assert fake.log_of_questions[3:] == ["blind:r/free", "blind:r/choice"]
    predictor.answer(items, "clean", advanced.append)
    assert len(fake.log_of_questions) == 5


def test_answers_before_a_kill_are_kept(log: AnswerLog) -> None:
    items = [replace(FREE, record_id=name, id=name) for name in "abcd"]
    with pytest.raises(KeyboardInterrupt):
        make_cached(Fake([], most=3), log).answer(items, "clean", lambda units: None)
    fake = Fake([])
    make_cached(fake, log).answer(items, "clean", lambda units: None)
    assert fake.log_of_questions == ["clean:d"]


def test_a_logged_answer_to_something_else_is_asked_again(log: AnswerLog) -> None:
    log.add({key(CHOICE): Prediction("a", (-1.0,), (1,)), key(FREE): Prediction("old")})
    fake = Fake([])
    predictor = make_cached(fake, log)
    assert predictor.answer([CHOICE, FREE], "clean", lambda units: None)[1].text == "old"
    assert fake.log_of_questions == ["clean:r/choice"]
    assert log[key(CHOICE)].option_logp == (-1.0, -2.0)
