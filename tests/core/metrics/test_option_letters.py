"""Option letters: golden replies of nine extractors, and the rules of spa3d."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spa3d.errors import ConfigError
from spa3d.metrics.option_letters import CONVENTIONS, extract_letter

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "option_letters.json").read_text(encoding="utf-8"))
FOUR = GOLDEN["options"]["C4"]


@pytest.mark.parametrize("column", range(len(GOLDEN["conventions"])), ids=GOLDEN["conventions"])
def test_extract_letter_equals_the_original(column: int) -> None:
    convention = GOLDEN["conventions"][column]
    for reply, options, *letters in GOLDEN["rows"]:
        if letters[column] != "not run":
            expected = None if letters[column] == "RANDOM" else letters[column]
            got = extract_letter(reply, GOLDEN["options"][options], convention)
            assert (got or None) == (expected or None), reply


def test_every_golden_convention_has_its_name() -> None:
    assert list(CONVENTIONS) == ["spa3d", *GOLDEN["conventions"]]
    with pytest.raises(ConfigError, match="did you mean 'vlm_can_infer'"):
        extract_letter("A", FOUR, "vlm_can_inferr")


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        *[
            (reply, "B")
            for reply in ("B", "b", "b)", "(b)", "B.", "**B**", "[B]", "Option B", "\uff22", '"B"', "B: table")
        ],
        ("B is right, A chair is not", "B"),
        ("Not A. It is D. Final answer: D", "D"),
        ("The answer is A. No, the answer is C.", "C"),  # the last one that is announced
        ("The answer is a floor lamp", "D"),  # an article, then an option
        ("Answer: \\boxed{C}", "C"),
        ("I would pick option d", "D"),
        ("A is the closest", "A"),
        ("A chair", None),
        ("A table", "B"),
        ("A long table, not a floor lamp", None),
        ("long tables", "C"),
        ("C or D", None),
        ("E", None),
        ("I think so", None),
        ("Table A-D", "B"),
        ("", None),
    ],
)
def test_extract_letter_by_the_rules_of_spa3d(reply: str, letter: str | None) -> None:
    assert extract_letter(reply, FOUR) == letter


def test_extract_letter_leaves_the_options_as_they_are() -> None:
    options = {"A": "Red", "B": "Blue"}
    for convention in CONVENTIONS:
        extract_letter("red", options, convention)
    assert options == {"A": "Red", "B": "Blue"}
