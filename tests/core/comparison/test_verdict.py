"""The sentences at the head of a table."""

from spa3d.rendering.numbers import MINUS


def test_judge_table_without_a_winner(grid):
    grid.add("sft", {"choice": 0.6}, control="", role="control").add("spa", {"choice": 0.6}).add("dpo", {"choice": 0.6})
    first, *more = grid.table(budget="compute").verdict
    assert first.startswith("No row beats SFT of equal compute on choice: the best of 2, ")
    assert "95" not in first
    assert "; could have seen ±" in first
    assert (
        more[-1] == "Of 6 comparisons (2 rows on 3 scores), none is significant after Holm's correction "
        "with all seeds agreeing."
    )


def test_judge_table_names_winner_and_losses(three_rows):
    first, second, *_ = three_rows.table(budget="steps").verdict
    assert first.startswith("1 of 2 rows beats SFT of equal steps on choice: twins by +")
    assert "Below SFT of equal steps on other scores: twins on caption" in second


def test_judge_table_names_best_and_losers(grid):
    grid.add("sft", {"choice": 0.6}, control="", role="control").add("spa", {"choice": 0.6}).add("bad", {"choice": 0.2})
    first = grid.table().verdict[0]
    assert first.startswith("No row beats SFT of equal compute on choice: the best of 2, spa, differs by ")
    assert f"; below it: bad by {MINUS}" in first


def test_judge_table_one_seed_has_no_spread(grid):
    grid.add("sft", {"choice": 0.6}, seeds=(0,), control="", role="control").add("spa", {"choice": 0.6}, seeds=(0,))
    assert "seeds" not in grid.table().verdict[0]
