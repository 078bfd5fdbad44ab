from collections import Counter

from spa3d.contracts.dataset import Fact
from spa3d.data.questions import append_options, draw_options, draw_pair_options, keyed_sample

COLOR = Fact("color", "seat", "What color is the seat?", "red", ("red", "blue", "green", "white", "black"))


def test_append_options() -> None:
    assert append_options(COLOR.question, ("red", "blue")) == "What color is the seat? A) red B) blue"
    assert append_options(COLOR.question, ()) == COLOR.question


def test_draw_options_answer_at_any_position() -> None:
    drawn = [draw_options(COLOR, "record", number) for number in range(400)]
    positions: Counter[int] = Counter()
    for options in drawn:
        assert options is not None
        assert len(set(options)) == 4
        positions[options.index("red")] += 1
    assert all(70 < positions[position] < 130 for position in range(4))
    assert drawn == [draw_options(COLOR, "record", number) for number in range(400)]
    assert draw_options(Fact("color", "", "?", "red", ("red", "blue", "green")), "record") is None


def test_draw_pair_options_contain_both_answers() -> None:
    after = Fact("color", "seat", COLOR.question, "blue", COLOR.options)
    for number in range(50):
        options = draw_pair_options(COLOR, after, number)
        assert options is not None
        assert {"red", "blue"} < set(options)
        assert len(set(options)) == 4


def test_keyed_sample_is_ordered_and_uniform() -> None:
    assert keyed_sample("abc", 3, 0) == ["a", "b", "c"]
    counts: Counter[int] = Counter()
    for seed in range(300):
        some = keyed_sample(range(10), 4, seed)
        assert some == sorted(set(some))
        assert len(some) == 4
        counts.update(some)
    assert all(80 < counts[i] < 160 for i in range(10))
    assert keyed_sample(range(10), 4, "a", 1) == keyed_sample(range(10), 4, "a", 1)
