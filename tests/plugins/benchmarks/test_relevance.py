from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from spa3d.contracts.benchmark import Prediction, Question
from spa3d.contracts.dataset import CAPTION, Conversation, Dataset, Fact, Record, Round
from spa3d.data.questions import split_options
from spa3d.data.relevance import REFUSAL
from spa3d.evaluation.question_sets import EvaluationItem, collect_questions
from spa3d.evaluation.summary import summarize
from spa3d.registry.create import create
from spa3d_plugins.benchmarks.relevance import Relevance

COLORS = ("red", "blue", "green", "white", "black")
PARTS = {"chair": "seat", "stool": "seat", "lamp": "shade", "tree": "crown", "car": "door", "ship": "sail"}
NAMES = tuple(PARTS)


def nothing() -> np.ndarray:
    raise AssertionError("a benchmark reads no cloud")


def make_record(number: int, category: str | None, facts: tuple[Fact, ...], group: str = "") -> Record:
    conversation = Conversation(CAPTION, (Round("What do you see?", f"Thing {number}."),))
    return Record(f"o{number}", f"o{number}", group or f"g{number}", nothing, (conversation,), facts, category)


def color(part: str, answer: str) -> Fact:
    return Fact("color", part, f"What color is the {part}?", answer, COLORS)


class Objects(Dataset):
    """Records as they are given."""

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


@pytest.fixture
def objects() -> Objects:
    """Two objects in each group, with a part and its color, or with category and color."""
    records = []
    for number in range(72):
        category, answer = NAMES[number % 6], COLORS[number // 7 % 5]
        whole = (
            Fact("category", "", "What is this?", category, NAMES),
            Fact("color", "", "What is its main color?", answer, COLORS),
        )
        facts = (color(PARTS[category], answer),) if number % 4 < 2 else whole
        records.append(make_record(number, category, facts, group=f"g{number // 2}"))
    return Objects(records)


def pairs_of(questions: list[Question]) -> list[tuple[Question, Question]]:
    return list(zip(questions[::2], questions[1::2], strict=True))


class TestQuestions:
    def test_members_of_a_pair_have_one_text_and_two_right_answers(self, objects: Objects) -> None:
        questions = list(Relevance().questions(objects, "test", 0))
        assert {question.kind for question in questions} == {"easy", "hard"}
        for own, other in pairs_of(questions):
            assert (own.pair, own.prompt, own.options) == (other.pair, other.prompt, other.options)
            assert own.answer != other.answer
            assert objects.record(own.record_id).group != objects.record(other.record_id).group
            assert own.options is not None
            assert own.options[-1] == REFUSAL
            assert len(set(own.options)) == 5
            assert tuple(split_options(own.prompt)[1].values()) == own.options

    def test_other_record_of_an_easy_pair_lacks_what_is_asked_about(self, objects: Objects) -> None:
        pairs = [pair for pair in pairs_of(list(Relevance().questions(objects, "test", 0))) if pair[0].kind == "easy"]
        assert len(pairs) > 20
        for own, other in pairs:
            mine, theirs = (objects.record(question.record_id).category for question in (own, other))
            stem = split_options(own.prompt)[0]
            assert other.answer == REFUSAL
            assert mine != theirs
            if stem == "What is this?":
                assert theirs not in (own.options or ())
            elif stem.startswith("About"):
                assert stem == f"About the {mine}: What is its main color?"
            else:
                assert PARTS[str(theirs)] not in stem

    def test_other_record_of_a_hard_pair_has_another_answer(self, objects: Objects) -> None:
        pairs = [pair for pair in pairs_of(list(Relevance().questions(objects, "test", 0))) if pair[0].kind == "hard"]
        assert len(pairs) > 10
        for own, other in pairs:
            stem = split_options(own.prompt)[0]
            for question in (own, other):
                record = objects.record(question.record_id)
                matching = [
                    fact
                    for fact in record.facts
                    if stem in (fact.question, f"About the {record.category}: {fact.question}")
                ]
                assert [fact.answer for fact in matching] == [question.answer]

    def test_each_cloud_is_the_wrong_one_as_often_as_the_right_one(self, objects: Objects) -> None:
        questions = [question for question in Relevance().questions(objects, "test", 0) if question.kind == "easy"]
        own, other = (Counter(question.record_id for question in questions[side::2]) for side in (0, 1))
        assert own == other
        assert set(own.values()) == {1}

    def test_blocks_are_independent_clusters(self, objects: Objects) -> None:
        items = collect_questions(Relevance(), objects, split="test", seed=0, limit=0)
        members: dict[str, set[str]] = {}
        for item in items:
            members.setdefault(item.group, set()).add(item.question.record_id)
        assert max(map(len, members.values())) <= 4
        assert len(members) >= 36 / 4

    def test_one_record_of_each_group_is_used(self, objects: Objects) -> None:
        ids = {question.record_id for question in Relevance().questions(objects, "test", 0)}
        assert len({objects.record(each).group for each in ids}) == len(ids)

    @pytest.mark.parametrize("kind", ["easy", "hard"])
    def test_kinds_can_be_asked_alone(self, objects: Objects, kind: str) -> None:
        assert {question.kind for question in Relevance(kinds=(kind,)).questions(objects, "test", 0)} == {kind}

    def test_limit_bounds_the_records_and_the_seed_changes_them(self, objects: Objects) -> None:
        few = Relevance(limit=8)
        drawn = [{question.record_id for question in few.questions(objects, "test", seed)} for seed in (0, 0, 1)]
        assert len(drawn[0]) <= 8
        assert drawn[0] == drawn[1] != drawn[2]

    def test_records_without_category_or_options_are_left_out(self) -> None:
        records = [make_record(i, None, (color("seat", COLORS[i % 5]),)) for i in range(9)]
        records += [
            make_record(i, "chair", (Fact("use", "", "What for?", "sitting", ("sitting",)),)) for i in range(9, 19)
        ]
        assert Relevance().questions(Objects(records), "test", 0) == ()

    def test_categories_alone_are_enough(self) -> None:
        facts = {name: (Fact("category", "", "What is this?", name, NAMES),) for name in NAMES}
        records = [make_record(i, NAMES[i % 6], facts[NAMES[i % 6]]) for i in range(24)]
        questions = Relevance().questions(Objects(records), "test", 0)
        assert {question.kind for question in questions} == {"easy", "hard"}
        assert {split_options(question.prompt)[0] for question in questions} == {"What is this?"}

    def test_names_that_contain_each_other_are_not_told_apart(self) -> None:
        records = [make_record(i, ("chair", "rocking chair")[i % 2], (color("seat", "red"),)) for i in range(20)]
        assert Relevance().questions(Objects(records), "test", 0) == ()

    def test_parts_of_any_object_of_the_category_are_not_lacking(self) -> None:
        # no stool states its seat but one, which is enough to know that stools have seats
        chairs = [make_record(i, "chair", (color("seat", "red"),)) for i in range(6)]
        stools = [make_record(i, "stool", (color("legs", "red"),)) for i in range(6, 12)]
        known = make_record(12, "stool", (color("seat", "red"), color("legs", "red")))
        assert Relevance().questions(Objects([*chairs, *stools]), "test", 0)
        matching = [each.prompt for each in Relevance().questions(Objects([*chairs, *stools, known]), "test", 0)]
        assert not any("seat" in prompt for prompt in matching)

    def test_letters_are_scored_on_request(self, objects: Objects) -> None:
        text, letter = (Relevance(answer_style=style).questions(objects, "test", 0) for style in ("text", "letter"))
        for one, two in zip(text, letter, strict=True):
            assert two.options == ("A", "B", "C", "D", "E")
            assert split_options(one.prompt)[1][two.answer] == one.answer


class TestScore:
    QUESTION = Question("a/easy-own", "a", "?", ("x", "y", "z", "v", REFUSAL), "y", "easy", pair="a/easy")

    def test_margin_is_log_p_of_any_answer_over_the_refusal(self) -> None:
        logp = tuple(math.log(share) for share in (0.1, 0.2, 0.05, 0.05, 0.1))
        verdict = Relevance().score(self.QUESTION, Prediction("y", logp))
        assert verdict.value == 1
        assert verdict.measures == {"own_cloud": 1}
        assert verdict.detections == {"relevance": (pytest.approx(math.log(4), abs=1e-4), True)}

    def test_other_side_and_hard_pairs(self) -> None:
        other = Question("a/hard-other", "b", "?", self.QUESTION.options, "x", "hard", pair="a/hard")
        verdict = Relevance().score(other, Prediction("y", (0.0, 1.0, 0.0, 0.0, 0.0)))
        assert (verdict.value, verdict.valid) == (0, True)
        assert verdict.measures == {"hard_cloud": 0}
        assert verdict.detections == {}

    @pytest.mark.parametrize(
        ("logp", "expected"), [((-math.inf,) * 4 + (0,), -math.inf), ((0, -1, -1, -1, -math.inf), math.inf)]
    )
    def test_impossible_options_give_infinite_margins(self, logp: tuple[float, ...], expected: float) -> None:
        assert Relevance().score(self.QUESTION, Prediction("x", logp)).detections["relevance"].score == expected

    def test_chance_of_a_pair_is_the_product(self) -> None:
        assert Relevance().chance(self.QUESTION) == 0.2


def make_rows(items: list[EvaluationItem], answer) -> list[dict]:
    benchmark, rows = Relevance(), []
    for item in items:
        for view in ("clean", "blind"):
            question = item.question
            logp = answer(question)
            best = max(range(5), key=logp.__getitem__)
            verdict = benchmark.score(question, Prediction(question.options[best], tuple(logp)))
            rows.append(
                {
                    "id": question.id, "record": question.record_id, "group": item.group, "kind": question.kind,
                    "set": item.subset, "pair": item.pair_id, "unseen": False, "prompt": question.prompt,
                    "options": list(question.options), "text": question.options[best],
                    "answer": question.answer, "view": view, "value": verdict.value, "valid": verdict.valid,
                    "measures": dict(verdict.measures), "chance": 0.2, "option_logp": logp,
                    "option_lengths": [1] * 5, "detections": {k: list(v) for k, v in verdict.detections.items()},
                }
            )  # fmt: skip
    return rows


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dataset", ["shapes-smoke", "objects"])
def test_any_predictor_from_text_alone_scores_0_and_detects_nothing(
    dataset: str, seed: int, request: pytest.FixtureRequest
) -> None:
    data = create("dataset", dataset) if dataset != "objects" else request.getfixturevalue("objects")
    items = [
        item for item in collect_questions(Relevance(), data, split="test", seed=0, limit=0) if item.subset == "test"
    ]

    def answer(question: Question) -> list[float]:
        return list(np.random.default_rng([seed, *question.prompt.encode()]).normal(size=5))

    result = summarize(make_rows(items, answer), bootstrap=100, seed=0)
    assert result["score"] == result["blind"] == result["text_floor"]["score"] == result["majority"] == 0
    assert result["measures"]["relevance_auroc"] == 0.5
    assert result["chance"] == pytest.approx(0.04)
    assert result["unit"] == "pair"


def test_predictor_that_knows_the_clouds_is_right_and_detects_everything(objects: Objects) -> None:
    items = collect_questions(Relevance(), objects, split="test", seed=0, limit=0)

    def answer(question: Question) -> list[float]:
        return [float(option == question.answer) for option in question.options or ()]

    result = summarize(make_rows(items, answer), bootstrap=100, seed=0)
    assert result["score"] == result["measures"]["relevance_auroc"] == 1
    assert {name: kind["score"] for name, kind in result["kinds"].items()} == {"easy": 1, "hard": 1}
    assert result["measures"] == {"own_cloud": 1, "easy_cloud": 1, "hard_cloud": 1, "relevance_auroc": 1}
    assert result["measure_ci95"]["relevance_auroc"][0] < 1
