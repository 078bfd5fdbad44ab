import numpy as np
import pytest

from spa3d_plugins.datasets.color_names import SHADES, WORDS, from_lab, lab_of, main_color, shape_of, to_lab


def paint(*parts: tuple[tuple[int, int, int], int]) -> np.ndarray:
    rgb = np.concatenate([np.tile(np.array(color) / 255, (count, 1)) for color, count in parts])
    return np.column_stack([np.zeros_like(rgb), rgb]).astype(np.float32)


def test_to_lab_equals_the_standard_and_from_lab_inverts_it() -> None:
    # White, and the primaries of sRGB under D65, to two places.
    inputs = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=float)
    lab = [[100.0, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86], [0, 0, 0.0]]
    np.testing.assert_allclose(to_lab(inputs), np.array(lab), atol=0.02)
    colors = np.random.default_rng(0).random((200, 3))
    np.testing.assert_allclose(from_lab(to_lab(colors)), colors, atol=1e-6)
    assert from_lab(np.array([50.0, 0, 300])).min() == 0  # no such color in sRGB


@pytest.mark.parametrize(("word", "shade"), [(word, shade) for word in WORDS for shade in SHADES[word]])
def test_every_shade_has_its_word(word: str, shade: str) -> None:
    main = main_color(paint((SHADES[word][shade], 5)))
    assert (main.word, main.lead) == (word, 1.0)
    assert main.points.all()


def test_lab_of_returns_the_first_shade() -> None:
    for word in WORDS:
        np.testing.assert_allclose(lab_of(word), to_lab(np.array(SHADES[word][word]) / 255))


def test_main_color_is_the_word_of_the_most_frequent_shade() -> None:
    # 3 gray + 3 dark gray points are 6 of one word, but 4 red ones are the largest shade.
    cloud = paint((SHADES["gray"]["gray"], 3), (SHADES["gray"]["dark gray"], 3), (SHADES["red"]["red"], 4))
    main = main_color(cloud)
    assert main.word == "red"
    assert main.points.tolist() == [False] * 6 + [True] * 4
    assert main.lead == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("size", "word"),
    [
        ((1.0, 1.41, 0.2), "tall"),
        ((1.0, 1.4, 0.2), "compact"),
        ((1.0, 0.74, 0.49), "long"),
        ((0.49, 0.1, 1.0), "long"),
        ((1.0, 0.49, 0.5), "flat"),
        ((1.0, 0.5, 0.5), "compact"),
        ((1.0, 0.75, 0.1), "compact"),
    ],
)
def test_shapes_by_the_edges_of_the_box(size: tuple[float, float, float], word: str) -> None:
    x, y, z = size
    assert shape_of(np.array([x, y, z])) == word
    assert shape_of(np.array([z, y, x])) == word
    assert shape_of(np.array([x, z, y]), up_axis="z") == word
    assert shape_of(np.array([y, x, z]), up_axis="x") == word
