import numpy as np
import pytest
from pydantic import ValidationError

from spa3d.contracts.benchmark import Prediction
from spa3d.contracts.dataset import CAPTION, Conversation, Dataset, Fact, Record, Round
from spa3d_plugins.benchmarks.classify import PROMPTS, Classify


def nothing() -> np.ndarray:
    raise AssertionError("a benchmark reads no cloud")


def record(number: int, category: str | None, *facts: Fact) -> Record:
    conversation = Conversation(CAPTION, (Round("Describe it.", "A thing."),))
    return Record(f"o{number}", f"o{number}", f"g{number}", nothing, (conversation,), facts, category)


class Made(Dataset):
    splits = ("test",)

    def __init__(self, *records: Record) -> None:
        super().__init__()
        self.made = records

    def records(self, split: str) -> tuple[Record, ...]:
        return self.made

    def record(self, record_id: str) -> Record:
        return next(record for record in self.made if record.id == record_id)

    def fingerprint(self) -> str:
        return "made"


FOUR = Made(record(0, "chair"), record(1, "armchair"), record(2, None), record(3, "street lamp"), record(4, "lamp"))


def test_records_without_a_category_are_left_out() -> None:
    questions = Classify().questions(FOUR, "test", 0)
    assert [question.record_id for question in questions] == ["o0", "o1", "o3", "o4"]
    assert {question.prompt for question in questions} == {"What is this?"}
    assert all(question.options is None for question in questions)
    assert Classify().chance(questions[0]) == 0.25
    assert Classify().questions(Made(record(0, None)), "test", 0) == ()


@pytest.mark.parametrize(
    ("number", "text", "value", "valid"),
    [
        (0, "A chair with four legs.", 1, True),
        (0, "chairs", 1, True),
        (0, "An armchair.", 0, True),
        (1, "An armchair.", 1, True),
        (1, "A chair.", 0, True),
        (2, "A street lamp.", 1, True),
        (3, "A street lamp.", 0, True),
        (3, "A lamp beside a chair.", 1, True),
        (3, "A chair beside a lamp.", 0, True),
        (3, "I do not know.", 0, True),
        (3, " ...\n", 0, False),
        (3, "", 0, False),
    ],
)
def test_the_first_category_named_counts(number: int, text: str, value: float, valid: bool) -> None:
    classify = Classify()
    verdict = classify.score(classify.questions(FOUR, "test", 0)[number], Prediction(text))
    assert (verdict.value, verdict.valid) == (value, valid)


def test_default_prompt_is_the_question_of_the_dataset() -> None:
    own = Fact("category", "", "What kind of object is this?", "chair", ("chair",))
    data = Made(record(0, "chair"), record(1, "chair", own))
    assert {question.prompt for question in Classify().questions(data, "test", 0)} == {own.question}
    assert {question.prompt for question in Classify(prompt="Name it.").questions(data, "test", 0)} == {"Name it."}


def test_the_limit_is_a_keyed_sample_with_all_categories_to_choose_from() -> None:
    data = Made(*(record(i, f"thing{i}") for i in range(50)))
    some = Classify(limit=10).questions(data, "test", 0)
    assert len(some) == 10
    assert some == Classify(limit=10).questions(data, "test", 0)
    assert some != Classify(limit=10).questions(data, "test", 1)
    assert Classify().chance(some[0]) == 1 / 50


def test_questions_have_pinned_prompts_by_name() -> None:
    own = Fact("category", "", "What kind of object is this?", "chair", ("chair",))
    data = Made(record(0, "chair", own))
    questions = {prompt: Classify(prompt=prompt).questions(data, "test", 0)[0] for prompt in ("", *PROMPTS)}
    assert [question.prompt for question in questions.values()] == [
        "What kind of object is this?",
        "What is this?",
        "This is an object of ",
    ]
    assert len({question.id for question in questions.values()}) == 3
    with pytest.raises(ValidationError, match="did you mean 'completion'"):
        Classify(prompt="complection")


def test_closed_set_by_likelihood() -> None:
    classify = Classify(closed="likelihood", prompt="completion")
    questions = classify.questions(FOUR, "test", 0)
    assert questions[0].options == ("armchair", "chair", "lamp", "street lamp")
    assert classify.chance(questions[0]) == 0.25
    for text, value, valid in (("chair", 1, True), ("armchair", 0, True), ("a chair", 0, False)):
        verdict = classify.score(questions[0], Prediction(text))
        assert (verdict.value, verdict.valid) == (value, valid)


def test_open_answers_are_right_if_they_mention_the_category() -> None:
    classify = Classify(closed="none")
    question = classify.questions(FOUR, "test", 0)[0]
    assert (question.options, classify.chance(question)) == (None, 0.0)
    assert classify.score(question, Prediction("A lamp beside two chairs.")).value == 1
    assert classify.score(question, Prediction("An armchair.")).value == 0
    assert not classify.score(question, Prediction("...")).valid
