import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from spa3d.contracts.dataset import CAPTION, Conversation, Fact, Record, Round
from spa3d.errors import DataError
from spa3d_plugins.datasets.cloud_edits import LEAD, NAMED, cloud_twin, recolor, stretch
from spa3d_plugins.datasets.color_names import WORDS, main_color, shape_of, to_lab

SHAPES = ("compact", "flat", "long", "tall")


def box(*size: float, points: int = 600, seed: int = 0) -> np.ndarray:
    """A shaded red box (two thirds) with a blue part; its corners are among the points."""
    stream = np.random.default_rng(seed)
    xyz = stream.random((points, 3)) - 0.5
    xyz[:2] = [[-0.5] * 3, [0.5] * 3]
    rgb = np.array([0.85, 0.2, 0.18]) * stream.uniform(0.7, 1.05, (points, 1))
    rgb[points * 2 // 3 :] = [0.15, 0.36, 0.75]
    return np.column_stack([xyz * size, rgb]).astype(np.float32)


def size_of(cloud: np.ndarray) -> np.ndarray:
    return np.ptp(cloud[:, :3], axis=0)


def record(cloud: np.ndarray, color: str = "red", shape: str = "compact", **changes: object) -> Record:
    facts = (
        Fact("category", "", "What is it?", "box", ("bed", "box", "car", "cup")),
        Fact("color", "", "Which color?", color, tuple(sorted(WORDS))),
        Fact("shape", "", "Which shape?", shape, SHAPES),
    )
    caption = Conversation(CAPTION, (Round("What is this?", "A red box."),))
    made = Record("o1", "o1", "g", partial(np.copy, cloud), (caption,), facts, "box")
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", [word for word in WORDS if word != "red"])
def test_a_recolored_cloud_has_the_new_main_color_its_shading_and_all_else(target: str) -> None:
    cloud = box(1, 1, 1)
    before = main_color(cloud).points
    edited = recolor(cloud, target)
    assert edited is not None
    assert edited.dtype == np.float32
    np.testing.assert_array_equal(edited[:, :3], cloud[:, :3])
    np.testing.assert_array_equal(edited[~before], cloud[~before])
    after = main_color(edited)
    assert (after.word, after.lead >= LEAD) == (target, True)
    assert after.points[before].mean() >= NAMED
    assert 0 <= edited[:, 3:].min() <= edited[:, 3:].max() <= 1
    # The order of lightness is kept, and so is the shading.
    old, new = to_lab(cloud[before, 3:])[:, 0], to_lab(edited[before, 3:])[:, 0]
    assert np.corrcoef(old, new)[0, 1] > 0.75
    assert new.std() > 0.15 * old.std()


def test_recolor_returns_none_where_it_fails() -> None:
    cloud = box(1, 1, 1)
    assert recolor(cloud, "red") is None
    assert recolor(cloud, "crimson") is None
    # Ahead by less than LEAD: 51 % red, 49 % blue, with and without the edit.
    close = np.repeat(box(1, 1, 1)[[0, -1]], [51, 49], axis=0)
    assert main_color(close).word == "red"
    assert recolor(close, "green") is None


@pytest.mark.parametrize(
    ("size", "target", "edges"),
    [
        # 1.4 with a margin of 10 % is 1.54; the edges are those of the box, the longest 1.
        ((1, 1, 1), "tall", (0.65, 1, 0.65)),
        ((1, 1, 1), "flat", (1, 0.45, 1)),
        ((1, 2, 1), "compact", (0.81, 1, 0.5)),
        ((1, 0.3, 1), "long", (0.45, 0.3, 1)),
    ],
)
def test_a_stretched_cloud_has_the_new_shape_clearly(
    size: tuple[float, float, float], target: str, edges: tuple[float, float, float]
) -> None:
    cloud = box(*size)
    edited = stretch(cloud, target)
    assert edited is not None
    assert edited.dtype == np.float32
    np.testing.assert_array_equal(edited[:, 3:], cloud[:, 3:])
    after = size_of(edited)
    np.testing.assert_allclose(after / after.max(), edges, atol=0.04)
    for axis in range(3):  # the word stays if one axis is 9 % longer or shorter
        for factor in (0.91, 1, 1.09):
            assert shape_of(after * np.where(np.arange(3) == axis, factor, 1)) == target
    # One axis changed against the two others; center and radius are as before.
    ratios = np.sort(after / size_of(cloud))
    assert min(ratios[1] / ratios[0], ratios[2] / ratios[1]) == pytest.approx(1, abs=1e-4)
    center = cloud[:, :3].mean(0)
    np.testing.assert_allclose(edited[:, :3].mean(0), center, atol=1e-5)
    radii = [np.linalg.norm(each[:, :3] - center, axis=1).max() for each in (cloud, edited)]
    assert radii[0] == pytest.approx(radii[1], rel=1e-5)


def test_stretch_respects_the_up_axis() -> None:
    cloud = box(1, 1, 1)
    edited = stretch(cloud, "tall", "z")
    assert edited is not None
    assert np.argmax(size_of(edited)) == 2


def test_stretch_returns_none_where_it_fails() -> None:
    assert stretch(box(1, 1, 1), "compact") is None
    assert stretch(box(1, 1, 1), "round") is None
    assert stretch(box(1, 9, 1), "flat") is None  # more than a third of its height would be needed
    line = box(1, 1, 1)
    line[:, [0, 2]] = 0
    assert stretch(line, "flat") is None


def test_a_twin_differs_in_one_fact_and_is_a_pure_function_of_record_and_number() -> None:
    original = record(box(1, 1, 1))
    seen = set()
    for number in range(24):
        twin = cloud_twin(original, number)
        assert twin == cloud_twin(record(box(1, 1, 1)), number)
        assert twin is not None
        made = twin.record
        assert (made.id, made.object_id, made.group, made.category) == (f"o1~{number}", "o1", "g", "box")
        assert [a for a, b in zip(original.facts, made.facts, strict=True) if a != b] == [twin.before]
        assert twin.after in made.facts
        assert replace(twin.before, answer=twin.after.answer) == twin.after
        assert [conversation.rounds for conversation in made.conversations] == [
            (Round(twin.after.question, twin.after.answer),)
        ]
        cloud = pickle.loads(pickle.dumps(made)).cloud()
        np.testing.assert_array_equal(cloud, made.cloud())
        assert cloud.shape == (600, 6)
        facts = {fact.kind: fact.answer for fact in made.facts}
        assert main_color(cloud).word == facts["color"]
        assert shape_of(size_of(cloud)) == facts["shape"]
        seen.add((twin.after.kind, twin.after.answer))
    assert {kind for kind, _ in seen} == {"color", "shape"}
    assert len(seen) > 8


def test_no_twin_of_a_kind_where_rule_and_fact_disagree_or_the_facts_are_too_few() -> None:
    def kinds(item: Record) -> set[str]:
        twins = [cloud_twin(item, number) for number in range(8)]
        return {twin.after.kind if twin else "none" for twin in twins}

    assert kinds(record(box(1, 1, 1), color="orange")) == {"shape"}
    assert kinds(record(box(1, 1, 1), shape="tall")) == {"color"}
    assert kinds(record(box(1, 1, 1), color="orange", shape="tall")) == {"none"}
    assert kinds(record(box(1, 1, 1), has_color=False)) == {"shape"}
    assert kinds(record(box(1, 1.45, 1), shape="tall")) == {"color"}  # tall, but close to compact
    facts = record(box(1, 1, 1)).facts
    few = (facts[0], replace(facts[1], options=("red", "blue", "green")), replace(facts[2], subject="lid"))
    assert kinds(record(box(1, 1, 1), facts=few)) == {"none"}
    assert kinds(record(box(1, 1, 1), facts=())) == {"none"}


def test_cloud_twin_tries_another_edit_after_a_failure() -> None:
    # "crimson" is no word of the palette, and no allowed factor makes a box of height 9 flat: green and long remain.
    facts = (
        Fact("color", "", "Which color?", "red", ("crimson", "green", "puce", "red")),
        Fact("shape", "", "Which shape?", "tall", ("flat", "round", "long", "tall")),
    )
    item = record(box(1, 9, 1), facts=facts)
    answers = {twin.after.answer for number in range(10) if (twin := cloud_twin(item, number))}
    assert answers == {"green"}


def test_changed_original_cloud_raises_data_error() -> None:
    clouds = [box(1, 1, 1), recolor(box(1, 1, 1), "green")]
    facts = (Fact("color", "", "Which color?", "red", ("red", "green", "g1", "g2")),)
    twin = cloud_twin(record(box(1, 1, 1), facts=facts, load=partial(clouds.pop, 0)), 0)
    assert twin is not None
    with pytest.raises(DataError, match="the cloud of record o1 has changed since its twin was made"):
        twin.record.cloud()


def test_twin_facts_have_no_sentence_of_the_original() -> None:
    original = record(box(1, 1, 1))
    facts = tuple(replace(fact, sentence=f"It is {fact.answer}.") for fact in original.facts)
    twin = cloud_twin(replace(original, facts=facts), 0)
    assert twin is not None
    assert twin.before.full_answer == f"It is {twin.before.answer}."
    assert twin.after.full_answer == twin.after.answer != twin.before.answer
