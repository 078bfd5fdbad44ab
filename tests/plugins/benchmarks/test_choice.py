from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spa3d.contracts.benchmark import Prediction
from spa3d.contracts.dataset import CAPTION, Conversation, Dataset, Fact, Record, Round, Twin
from spa3d.data.option_questions import OptionQuestion, format_option_questions
from spa3d.errors import DataError
from spa3d_plugins.benchmarks.choice import Choice

COLORS = ("red", "blue", "green", "white", "black")
COUNTS = ("one", "two", "three", "four")


def nothing() -> np.ndarray:
    raise AssertionError("a benchmark reads no cloud")


def record(number: int, facts: tuple[Fact, ...], caption: str | None = None, group: str = "") -> Record:
    conversation = Conversation(CAPTION, (Round("What is this?", caption or f"Thing {number}."),))
    return Record(f"o{number}", f"o{number}", group or f"g{number}", nothing, (conversation,), facts)


def seat(number: int) -> Fact:
    return Fact("color", "seat", "What color is the seat?", COLORS[number % 5], COLORS)


def legs(number: int) -> Fact:
    return Fact("count", "legs", "How many legs does it have?", COUNTS[number % 4], COUNTS)


class Objects(Dataset):
    """Records as they are given; every third has a twin with another seat."""

    splits = ("test",)

    def __init__(self, records: list[Record]) -> None:
        super().__init__()
        self.made = {record.id: record for record in records}

    def records(self, split: str) -> list[Record]:
        return list(self.made.values())

    def record(self, record_id: str) -> Record:
        return self.made[record_id]

    def fingerprint(self) -> str:
        return "objects"

    def twin(self, record: Record, number: int = 0) -> Twin | None:
        before = next((fact for fact in record.facts if fact.subject == "seat"), None)
        if before is None or int(record.id[1:]) % 3:
            return None
        after = replace(before, answer=COLORS[(COLORS.index(before.answer) + 1) % 5])
        return Twin(replace(record, id=f"{record.id}~0", facts=(after,)), before, after)


@pytest.fixture
def objects() -> Objects:
    return Objects([record(i, (seat(i), legs(i)) if i < 30 else (seat(i),)) for i in range(60)])


def test_questions_have_four_options_with_the_answer(objects: Objects) -> None:
    questions = Choice().questions(objects, "test", 0)
    assert Counter(question.kind for question in questions) == {"color": 60, "count": 30}
    assert len({question.id for question in questions}) == 90
    for question in questions:
        assert question.options is not None
        assert len(set(question.options)) == 4
        assert question.answer in question.options
        letters = [f"{letter}) {option}" for letter, option in zip("ABCD", question.options, strict=True)]
        assert question.prompt.endswith("? " + " ".join(letters))
        assert question.answer in {fact.answer for fact in objects.record(question.record_id).facts}
        assert Choice().chance(question) == 0.25
    # All positions of the answer are equally frequent.
    places = Counter(question.options.index(question.answer) for question in questions if question.options)
    assert min(places[i] for i in range(4)) > 10


def test_questions_are_a_function_of_the_seed(objects: Objects) -> None:
    assert Choice().questions(objects, "test", 0) == Choice().questions(objects, "test", 0)
    zero, one = (Choice().questions(objects, "test", seed) for seed in (0, 1))
    assert [q.id for q in zero] == [q.id for q in one]
    assert [q.options for q in zero] != [q.options for q in one]


def test_per_kind_limits_each_kind(objects: Objects) -> None:
    questions = Choice(per_kind=20).questions(objects, "test", 0)
    assert Counter(question.kind for question in questions) == {"color": 20, "count": 20}
    whole = {question.id: question for question in Choice().questions(objects, "test", 0)}
    assert all(whole[question.id] == question for question in questions)
    assert [q.id for q in questions] == [i for i in whole if i in {q.id for q in questions}]  # in the old order
    assert {q.id for q in questions} != {q.id for q in Choice(per_kind=20).questions(objects, "test", 1)}


def test_facts_with_too_few_values_give_no_question() -> None:
    rare = Fact("category", "", "What is it?", "mug", ("mug",))
    questions = Choice().questions(Objects([record(0, (rare, seat(0)))]), "test", 0)
    assert [question.kind for question in questions] == ["color"]


def test_letters_stand_for_the_same_options(objects: Objects) -> None:
    texts = Choice().questions(objects, "test", 0)
    letters = Choice(answer_style="letter").questions(objects, "test", 0)
    for text, letter in zip(texts, letters, strict=True):
        assert text.options is not None
        assert letter.options == ("A", "B", "C", "D")
        assert letter.prompt == text.prompt
        assert f"{letter.answer}) {text.answer}" in letter.prompt


def test_only_the_answer_scores_and_only_an_option_is_valid(objects: Objects) -> None:
    choice = Choice()
    question = choice.questions(objects, "test", 0)[0]
    wrong = next(option for option in question.options or () if option != question.answer)
    verdicts = [choice.score(question, Prediction(text)) for text in (question.answer, wrong, "perhaps", "")]
    assert [(verdict.value, verdict.valid) for verdict in verdicts] == [(1, True), (0, True), (0, False), (0, False)]


def test_both_members_of_a_pair_get_one_question(objects: Objects) -> None:
    pairs = Choice().pairs(objects, "test", 0)
    assert [before.record_id for before, _ in pairs] == [f"o{i}" for i in range(0, 60, 3)]
    for before, after in pairs:
        assert (before.prompt, before.options, before.kind) == (after.prompt, after.options, after.kind)
        assert after.record_id == f"{before.record_id}~0"
        assert before.answer != after.answer
        assert before.options is not None
        assert {before.answer, after.answer} < set(before.options)
    assert len({question.id for pair in pairs for question in pair}) == 2 * len(pairs)
    assert len(Choice(flips=7).pairs(objects, "test", 0)) == 7
    assert Choice(flips=0).pairs(objects, "test", 0) == ()
    assert pairs == Choice().pairs(objects, "test", 0)


CAPTIONED = [
    record(0, (), "A red chair.", "chairs"),
    record(1, (), "A blue chair.", "chairs"),
    record(2, (), "A lamp.", "lamps"),
    record(3, (), "The LAMPS!", "more lamps"),
    record(4, (), "A mug.", "mugs"),
    record(5, (), "A sofa.", "sofas"),
]


def test_without_facts_the_options_are_captions_of_other_groups() -> None:
    choice = Choice()
    first = choice.questions(Objects(CAPTIONED), "test", 0)
    assert [(question.record_id, question.answer) for question in first] == [(r.id, r.caption) for r in CAPTIONED]
    for seed in range(20):
        for question in choice.questions(Objects(CAPTIONED), "test", seed):
            assert question.kind == "caption"
            assert question.options is not None
            assert len(question.options) == 4
            assert question.answer in question.options
            assert not {"A red chair.", "A blue chair."} <= set(question.options) or question.record_id not in (
                "o0",
                "o1",
            )
            assert not {"A lamp.", "The LAMPS!"} <= set(question.options)  # they say the same
            assert question.prompt.startswith("What is this? A) ")
    assert choice.questions(Objects(CAPTIONED), "test", 0) == first
    assert len(Choice(per_kind=2).questions(Objects(CAPTIONED), "test", 0)) == 2


def test_too_few_captions_give_no_question() -> None:
    assert Choice().questions(Objects(CAPTIONED[:4]), "test", 0) == ()


def file_of(path: Path, *sources: str, kind: str = "color", suffix: str = "") -> Path:
    questions = [
        OptionQuestion(f"{source}/{kind}", source, kind, "Which?", ("red", "dark blue", "tan"), i % 3, "object", suffix)
        for i, source in enumerate(sources)
    ]
    path.write_text(format_option_questions(questions), encoding="utf-8")
    return path


def test_questions_of_a_file_keep_their_options(objects: Objects, tmp_path: Path) -> None:
    path = file_of(tmp_path / "q.jsonl", "o1", "o2")
    first, second = Choice(questions=path).questions(objects, "test", 0)
    assert (first.id, first.record_id, first.kind) == ("o1/color", "o1", "color")
    assert first.prompt == "Which? A) red B) dark blue C) tan"
    assert (first.options, first.answer, second.answer) == (("red", "dark blue", "tan"), "red", "dark blue")
    assert Choice(questions=path).pairs(objects, "test", 0) == ()


def test_letters_of_generated_answers(objects: Objects, tmp_path: Path) -> None:
    path = file_of(tmp_path / "q.jsonl", "o1", "o2", suffix="Letter only.")
    choice = Choice(questions=path, answer_style="letter-generated")
    question = choice.questions(objects, "test", 0)[1]
    assert question.prompt.endswith("C) tan\nLetter only.")
    assert (question.options, question.answer, choice.chance(question)) == (None, "B", 1 / 3)
    values = {text: choice.score(question, Prediction(text)) for text in ("B", "(A)", "It is dark blue.", "Hm", "D")}
    assert [verdict.value for verdict in values.values()] == [1, 0, 1, 0, 0]
    assert [verdict.valid for verdict in values.values()] == [True, True, True, False, False]
    strict = Choice(questions=path, answer_style="letter-generated", letter_rule="lmms_vsibench_first_word")
    assert not strict.score(question, Prediction("It is dark blue.")).value


def test_the_letter_of_a_file_and_a_sentence_below(objects: Objects, tmp_path: Path) -> None:
    path = file_of(tmp_path / "q.jsonl", "o1", "o2", "o3")
    questions = Choice(questions=path, answer_style="letter", suffix="Say a letter.").questions(objects, "test", 0)
    assert [(question.options, question.answer) for question in questions] == [
        (("A", "B", "C"), letter) for letter in "ABC"
    ]
    assert questions[0].prompt.endswith("\nSay a letter.")


def test_rotations_move_the_options_and_count_together(objects: Objects, tmp_path: Path) -> None:
    choice = Choice(questions=file_of(tmp_path / "q.jsonl", "o1", "o2"), circular=True, answer_style="letter")
    questions = choice.questions(objects, "test", 0)
    assert [question.id for question in questions[:3]] == ["o1/color", "o1/color/rotation-1", "o1/color/rotation-2"]
    assert [question.answer for question in questions[:3]] == ["A", "B", "C"]
    assert questions[1].prompt == "Which? A) tan B) red C) dark blue"
    right = [Prediction(question.answer) for question in questions]
    assert choice.measure_set(questions, right) == [{"consistent": 1}, {}, {}, {"consistent": 1}, {}, {}]
    one_wrong = [*right[:5], Prediction("A" if questions[5].answer != "A" else "B")]
    assert choice.measure_set(questions, one_wrong)[3] == {"consistent": 0}
    assert choice.measure_set(questions[:5], right[:5])[3] == {}  # a rotation was not asked
    assert choice.measure_set(questions, [Prediction("A")] * 6)[0] == {"consistent": 0}


def test_rotations_of_facts_are_as_many_as_options(objects: Objects) -> None:
    plain = Choice().questions(objects, "test", 0)
    turned = Choice(circular=True).questions(objects, "test", 0)
    assert len(turned) == 4 * len(plain)
    assert turned[::4] == plain


def test_kinds_select_questions(objects: Objects, tmp_path: Path) -> None:
    assert {question.kind for question in Choice(kinds=("count",)).questions(objects, "test", 0)} == {"count"}
    assert Choice(kinds=("use",)).questions(objects, "test", 0) == ()
    path = file_of(tmp_path / "q.jsonl", "o1")
    with pytest.raises(DataError, match="has no questions of the kinds use, texture; it has color"):
        Choice(questions=path, kinds=("use", "texture"))


def test_a_bad_file_is_refused_when_the_benchmark_is_made(objects: Objects, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"benchmark choice, questions: .*no such file"):
        Choice(questions=tmp_path / "none.jsonl")
    path = file_of(tmp_path / "q.jsonl", "o1", "nobody")
    with pytest.raises(DataError, match="are about records that the dataset lacks, the first is 'nobody'"):
        Choice(questions=path).questions(objects, "test", 0)
    objects.on_bad_data = "skip"
    assert len(Choice(questions=path).questions(objects, "test", 0)) == 1
    assert "1 of its 2 questions" in objects.skip_log.notes[0]
