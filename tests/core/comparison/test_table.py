"""The table as data: what it holds, against whom, and what it does where cells are missing."""

import json

import pytest

CHOICE = ("choice", "test")


def row(table, label):
    return next(found for found in table.rows if found.label == label)


def rewritten(cell, share):
    """Give a cell's choice predictions exact values: the first `share` of the clean answers right."""
    path = cell / "predictions" / "choice.after.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    clean = [line for line in lines if line["view"] == "clean" and line["set"] == "test"]
    for place, line in enumerate(clean):
        line["value"] = float(place < share * len(clean))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_build_table_means_and_differences_by_seed(grid):
    grid.add("sft", {"choice": 0.5}, seeds=(0, 1), control="", role="control")
    grid.add("spa", {"choice": 0.5}, seeds=(0, 1))
    for number, share in enumerate((0.5, 0.6, 0.55, 0.75)):
        rewritten(grid.folder / "cells" / f"{number:03d}", share)
    score = grid.table().score(row(grid.table(), "spa"), CHOICE)
    assert score.after.seeds == (0.55, 0.75)
    assert score.after.mean == 0.65
    assert score.against_control.seeds == (0.05, 0.15)
    assert score.against_control.mean == 0.1


def test_build_table_blind_gap_and_chance(ordinary):
    score = ordinary.table().score(row(ordinary.table(), "spa"), CHOICE)
    assert score.gap.mean == pytest.approx(score.after.mean - score.blind.mean, abs=2e-6)
    assert score.gap_change.mean == score.change.mean  # the blind answers are the same before and after
    assert score.chance == 0.25


def test_build_table_training_figures(ordinary):
    found = {name: numbers.mean for name, numbers in row(ordinary.table(), "twins").training.items()}
    assert found == {
        "steps": 20, "seconds": 12.5, "learning_rate": 1e-5, "margin": 1.5, "saturation": 0.25, "drift": -0.01,
        "repetition": 0.04, "warnings": 1,
    }  # fmt: skip


def test_build_table_significance_of_a_clear_winner(ordinary):
    table = ordinary.table()
    assert table.score(row(table, "twins"), CHOICE).against_control.side == 1
    assert table.score(row(table, "twins"), ("caption", "test")).against_control.side == -1
    assert table.score(row(table, "spa"), CHOICE).against_control.side == 0
    assert (table.family.rows, table.family.scores, table.family.comparisons) == (2, 6, 12)


def test_build_table_holm_over_all_comparisons(ordinary):
    tested = [
        score.against_control
        for found in ordinary.table().rows
        for sets in found.scores.values()
        for score in sets.values()
        if score.against_control
    ]
    least = min(tested, key=lambda one: one.p)
    assert least.p_holm == pytest.approx(12 * least.p, abs=1e-5)
    assert all(one.p_holm >= one.p for one in tested)


def test_build_table_counts_missing_cells(grid):
    grid.add("sft", {"choice": 0.6}, control="", role="control")
    grid.add("spa", {"choice": 0.6}, seeds=(0,)).add("spa", "out of memory", seeds=(1, 2))
    grid.add("dpo", "")
    table = grid.table()
    assert table.counts == {"done": 4, "failed": 2, "to do": 3}
    assert row(table, "spa").seeds_done == (0,)
    assert row(table, "spa").errors == ("seeds 1, 2 failed: out of memory",)
    assert table.score(row(table, "dpo"), CHOICE) is None
    assert table.verdict[-1] == "Incomplete: 4 of 9 cells done, 2 failed, 3 to do."


def test_build_table_cell_without_predictions_failed(ordinary):
    (ordinary.folder / "cells" / "004" / "predictions" / "choice.after.jsonl").unlink()
    table = ordinary.table()
    assert row(table, "spa").seeds_done == (0, 2)
    assert "choice" in row(table, "spa").errors[0]
    assert row(table, "spa").errors[0].startswith("seed 1 failed: ")


def test_build_table_row_without_control_has_no_comparison(grid):
    grid.add("sft", "broken", control="", role="control").add("spa", {"choice": 0.6})
    table = grid.table()
    assert table.score(row(table, "spa"), CHOICE).against_control is None
    assert table.verdict[0].startswith("No row has a finished SFT control")


def test_build_table_without_finished_cells(grid):
    grid.add("sft", "", control="", role="control").add("spa", "no")
    grid.write()
    table = json.loads((grid.folder / "compare.json").read_text(encoding="utf-8"))
    assert table["verdict"] == ["Nothing to compare yet: 0 of 6 cells done, 3 failed, 3 to do."]


def test_write_table_is_deterministic(ordinary, paper):
    def written():
        ordinary.write(preset=paper)
        return [(ordinary.folder / f"compare.{kind}").read_bytes() for kind in ("json", "md", "html")]

    assert written() == written()


def test_write_table_figures_can_be_traced(ordinary):
    ordinary.write()
    table = json.loads((ordinary.folder / "compare.json").read_text(encoding="utf-8"))
    folders = [cell["folder"] for found in table["rows"] for cell in found["cells"]]
    assert folders == [f"cells/{number:03d}" for number in range(9)]
    assert all((ordinary.folder / folder / "report.json").exists() for folder in folders)


def test_build_table_blind_run_has_no_gap(grid):
    grid.add("sft", {"choice": 0.6}, control="", role="control").add("blind", {"choice": 0.6})
    for path in grid.folder.glob("cells/*/predictions/*.jsonl"):
        kept = [line for line in path.read_text(encoding="utf-8").splitlines() if '"view": "blind"' in line]
        path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    score = grid.table().score(row(grid.table(), "blind"), CHOICE)
    assert score.gap is None
    assert score.after.mean == score.blind.mean
