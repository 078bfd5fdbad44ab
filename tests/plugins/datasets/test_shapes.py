import pickle
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError

from spa3d.contracts.dataset import Record
from spa3d.errors import DataError
from spa3d_plugins.datasets import shapes
from spa3d_plugins.datasets.shapes import Shapes
from spa3d_plugins.datasets.shapes_world.categories import BY_NAME, CATEGORIES, COLORS, TEXTURES

CAPTION = re.compile(r"A (?P<texture>\w+) (?P<category>\w+) with (?P<parts>.+)\.")
PART = re.compile(r"(?:(?P<lead>\w+) )?(?P<color>\w+) (?P<name>\w+)")
COUNTS = {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}


@pytest.fixture(scope="module")
def world() -> Shapes:
    return Shapes(points=256)


def read_caption(caption: str) -> set[tuple[str, str]]:
    """Facts in a caption, as (kind, or kind and part; value)."""
    whole = CAPTION.fullmatch(caption)
    assert whole, caption
    mentioned = {("texture", whole["texture"]), ("category", whole["category"])}
    for phrase in re.split(r", | and ", whole["parts"]):
        part = PART.fullmatch(phrase)
        assert part, phrase
        mentioned.add((f"color {part['name']}", part["color"]))
        if part["lead"] in COUNTS:
            mentioned.add((f"count {part['name']}", part["lead"]))
        else:
            assert part["lead"] in (None, "an" if part["color"][0] in "aeiou" else "a")
    return mentioned


def usual_share(records: list[Record], kind: str) -> float:
    """Share of the facts of `kind` with the usual value of the category."""
    usual = []
    for record in records:
        category = BY_NAME[record.category or ""]
        expected = {("texture", ""): category.texture}
        expected |= {("color", part.name): part.color for part in category.parts}
        usual += [fact.answer == expected[kind, fact.subject] for fact in record.facts if fact.kind == kind]
    return float(np.mean(usual))


def test_sizes_and_random_access(world: Shapes) -> None:
    assert {split: len(world.records(split)) for split in world.splits} == {
        "train": 4000,
        "val": 200,
        "test": 400,
        "counterfactual": 400,
    }
    test = world.records("test")
    assert test[-1].id == "shapes-0-test-000399"
    assert [record.id for record in test[3:5]] == ["shapes-0-test-000003", "shapes-0-test-000004"]
    with pytest.raises(IndexError):
        test[400]


def test_an_object_is_a_pure_function_of_seed_split_and_index(world: Shapes) -> None:
    requested = [world.records("val")[i] for i in (150, 3, 77)]
    small = Shapes(points=256, train=1, val=151, test=1, counterfactual=1)
    for record in reversed(requested):
        again = small.record(record.id)
        assert again == record
        np.testing.assert_array_equal(again.cloud(), record.cloud())
        np.testing.assert_array_equal(record.cloud(), record.cloud())
    assert Shapes(seed=1).records("val")[3].facts != requested[1].facts


def test_no_object_is_in_two_splits(world: Shapes) -> None:
    seen: dict[str, str] = {}
    clouds: dict[bytes, str] = {}
    for split in world.splits:
        for record in world.records(split)[:52]:
            assert seen.setdefault(record.id, split) == split
            assert record.group == record.object_id == record.id
            assert clouds.setdefault(record.cloud().tobytes(), record.id) == record.id
    assert len(clouds) == 4 * 52


def test_every_category_is_equally_frequent(world: Shapes) -> None:
    result = Counter(record.category for record in world.records("test"))
    assert set(result) == set(BY_NAME)
    assert max(result.values()) - min(result.values()) <= 1


def test_clouds(world: Shapes) -> None:
    for record in world.records("counterfactual")[: len(CATEGORIES)]:
        cloud = record.cloud()
        assert cloud.shape == (256, 6)
        assert cloud.dtype == np.float32
        assert np.isfinite(cloud).all()
        assert record.has_color
    assert Shapes().records("train")[0].cloud().shape == (1024, 6)


def test_priors_hold_in_train_and_are_broken_in_counterfactual(world: Shapes) -> None:
    train, broken = list(world.records("train")), list(Shapes(counterfactual=2000).records("counterfactual"))
    assert usual_share(train, "color") == pytest.approx(0.55 + 0.45 / len(COLORS), abs=0.025)
    assert usual_share(train, "texture") == pytest.approx(0.5 + 0.5 / len(TEXTURES), abs=0.04)
    assert usual_share(broken, "color") == pytest.approx(1 / len(COLORS), abs=0.02)
    assert usual_share(broken, "texture") == pytest.approx(1 / len(TEXTURES), abs=0.04)
    for records, share in ((train, 0.45 + 0.55 / 4), (broken, 1 / 4)):
        legs = [f.answer for r in records if r.category == "chair" for f in r.facts if f.kind == "count"]
        assert np.mean([answer == "four" for answer in legs]) == pytest.approx(share, abs=0.15)
    colors = Counter(fact.answer for record in broken for fact in record.facts if fact.kind == "color")
    assert min(colors.values()) > 0.8 * max(colors.values())


@pytest.mark.parametrize("split", ["train", "counterfactual"])
def test_the_caption_says_every_fact_but_the_use(world: Shapes, split: str) -> None:
    for record in world.records(split)[:200]:
        facts = set()
        for fact in record.facts:
            assert fact.answer in fact.options
            assert len(fact.options) >= 4
            if fact.kind != "use":
                # One leg, two legs: parts are compared without the s.
                facts.add((f"{fact.kind} {fact.subject}".strip().removesuffix("s"), fact.answer))
        assert {(key.removesuffix("s"), value) for key, value in read_caption(record.caption or "")} == facts
        assert {fact.kind for fact in record.facts} - {"count"} == {"category", "color", "texture", "use"}


def test_no_question_names_the_category(world: Shapes) -> None:
    for record in world.records("train")[: len(CATEGORIES)]:
        for fact in record.facts:
            assert not set(re.findall(r"\w+", fact.question)) & set(BY_NAME), fact.question


def test_choice_questions_are_answered_with_an_option(world: Shapes) -> None:
    choices = questions = 0
    for record in world.records("train")[:400]:
        answers = {fact.answer for fact in record.facts}
        for conversation in record.conversations:
            for turn in conversation.rounds:
                question, *options = re.split(r" [A-D]\) ", turn.question)
                if any(fact.question == question for fact in record.facts):
                    questions += 1
                    choices += bool(options)
                if options:
                    assert len(options) == 4
                    assert turn.answer in options
                    assert turn.answer in answers
    assert 0.3 < choices / questions < 0.4


def test_fresh_questions(world: Shapes) -> None:
    record = world.records("train")[5]
    assert world.conversations(record, 0) == record.conversations
    conversations = [world.conversations(record, epoch) for epoch in range(6)]
    assert len({conversation[2].rounds for conversation in conversations}) > 3
    assert {conversation[0].rounds[0].answer for conversation in conversations} == {record.caption}
    assert world.conversations(record, 3) == conversations[3]
    fixed = Shapes(fresh=False)
    assert fixed.conversations(record, 3) == record.conversations


def test_conversations_make_no_cloud(world: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "sample_object", None)
    record = world.records("train")[1]
    assert world.conversations(record, 4)
    assert world.twin(record)


@pytest.mark.parametrize("split", ["train", "test", "counterfactual"])
def test_twin_differs_in_one_fact_only(world: Shapes, split: str) -> None:
    for record in world.records(split)[: len(CATEGORIES)]:
        for number in range(3):
            twin = world.twin(record, number)
            assert twin is not None
            before, after = twin.before, twin.after
            assert before.answer != after.answer
            assert (before.kind, before.subject, before.question, before.options) == (
                after.kind,
                after.subject,
                after.question,
                after.options,
            )
            changed = [(a, b) for a, b in zip(record.facts, twin.record.facts, strict=True) if a != b]
            assert changed == [(before, after)]
            assert twin.record.group == record.group
            assert world.record(twin.record.id) == twin.record
            one, other = record.cloud(), twin.record.cloud()
            same = (one == other).all(1).mean()
            assert 0.1 < same < 0.99
            if before.kind == "color":
                np.testing.assert_array_equal(one[:, :3], other[:, :3])
            if before.kind == "count":
                np.testing.assert_array_equal(one[:, 3:], other[:, 3:])
    assert world.twin(twin.record) is None


def test_twins_of_one_record_differ(world: Shapes) -> None:
    record = world.records("test")[7]
    twins = [world.twin(record, number) for number in range(8)]
    questions = {(twin.before.question, twin.after.answer) for twin in twins if twin}
    assert len(questions) > 4
    assert world.twin(record, 2) == twins[2]


@pytest.mark.parametrize(
    ("record_id", "message"),
    [
        ("chair", "ids look like shapes-0-test-000012"),
        ("shapes-1-test-000000", "with seed 0"),
        ("shapes-0-test-000400", "--dataset.test"),
        ("shapes-0-holiday-000000", "train, val, test, counterfactual"),
    ],
)
def test_unknown_ids_raise_data_error(world: Shapes, record_id: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        world.record(record_id)


def test_an_unknown_split_is_refused(world: Shapes) -> None:
    with pytest.raises(DataError, match="'dev'"):
        world.records("dev")


def test_fingerprint_depends_on_the_configuration() -> None:
    prints = [Shapes().fingerprint(), Shapes(points=512).fingerprint(), Shapes(seed=1).fingerprint()]
    assert len(set(prints)) == 3
    assert Shapes().fingerprint() == prints[0]
    assert all(len(one) == len(other) for one, other in pairwise(prints))


def test_config_rejects_invalid_values() -> None:
    for wrong in ({"points": 0}, {"train": 0}, {"color_prior": 1.5}, {"color": 1}):
        with pytest.raises(ValidationError):
            Shapes(**wrong)


def test_records_can_be_pickled(world: Shapes) -> None:
    record = pickle.loads(pickle.dumps(world.records("test")))[4]
    np.testing.assert_array_equal(record.cloud(), world.records("test")[4].cloud())
