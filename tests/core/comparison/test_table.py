"""Table of a comparison as data: rows, controls, and missing cells."""

import json

import pytest

CHOICE = ("choice", "test")


def row(table, label):
    return next(result for result in table.rows if result.label == label)


def rewrite(cell, share):
    """Rewrite the predictions of ``choice``: the first `share` of the clean answers is right."""
    path = cell / "predictions" / "choice.after.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    clean = [line for line in lines if line["view"] == "clean" and line["set"] == "test"]
    for index, line in enumerate(clean):
        line["value"] = float(index < share * len(clean))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_build_table_means_and_differences_by_seed(grid):
    grid.add("sft", {"choice": 0.5}, seeds=(0, 1), control="", role="control")
    grid.add("spa", {"choice": 0.5}, seeds=(0, 1))
    for number, share in enumerate((0.5, 0.6, 0.55, 0.75)):
        rewrite(grid.folder / "cells" / f"{number:03d}", share)
    score = grid.table().score(row(grid.table(), "spa"), CHOICE)
    assert score.after.seeds == (0.55, 0.75)
    assert score.after.mean == 0.65
    assert score.against_control.seeds == (0.05, 0.15)
    assert score.against_control.mean == 0.1


def test_build_table_mcnemar_of_one_seed(grid):
    grid.add("sft", {"choice": 0.5}, seeds=(0,), control="", role="control").add("spa", {"choice": 0.5}, seeds=(0,))
    for number, share in enumerate((0.5, 0.6)):
        rewrite(grid.folder / "cells" / f"{number:03d}", share)
    table = grid.table()
    test = table.score(row(table, "spa"), CHOICE).against_control.mcnemar
    assert (test.gained, test.lost, test.p) == (8, 0, 0.007813)  # 2 / 2^8


def test_build_table_no_mcnemar_over_several_seeds(three_rows):
    table = three_rows.table()
    assert table.score(row(table, "twins"), CHOICE).against_control.mcnemar is None


def test_build_table_blind_gap_and_chance(three_rows):
    score = three_rows.table().score(row(three_rows.table(), "spa"), CHOICE)
    assert score.gap.mean == pytest.approx(score.after.mean - score.blind.mean, abs=2e-6)
    assert score.gap_change.mean == score.change.mean  # the blind answers are the same before and after
    assert score.chance == 0.25


def test_build_table_training_figures(three_rows):
    result = {name: numbers.mean for name, numbers in row(three_rows.table(), "twins").training.items()}
    assert result == {
        "steps": 20, "seconds": 12.5, "learning_rate": 1e-5, "level": 0.26, "margin": 1.5, "saturation": 0.25,
        "drift": -0.01, "repetition": 0.04, "warnings": 1,
    }  # fmt: skip


def test_build_table_significance_of_a_clear_winner(three_rows):
    table = three_rows.table()
    assert table.score(row(table, "twins"), CHOICE).against_control.side == 1
    assert table.score(row(table, "twins"), ("caption", "test")).against_control.side == -1
    assert table.score(row(table, "spa"), CHOICE).against_control.side == 0
    assert (table.family.rows, table.family.scores, table.family.comparisons) == (2, 6, 12)


def test_build_table_holm_over_all_comparisons(three_rows):
    tested = [
        score.against_control
        for result in three_rows.table().rows
        for sets in result.scores.values()
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


def test_build_table_cell_without_predictions_failed(three_rows):
    (three_rows.folder / "cells" / "004" / "predictions" / "choice.after.jsonl").unlink()
    table = three_rows.table()
    assert row(table, "spa").seeds_done == (0, 2)
    assert "choice" in row(table, "spa").errors[0]
    assert row(table, "spa").errors[0].startswith("seed 1 failed: ")


def test_build_table_cell_with_fewer_answers_than_its_report_failed(three_rows):
    folder = three_rows.outcomes[0].cell.folder
    path, report = folder / "predictions" / "choice.after.jsonl", json.loads((folder / "report.json").read_text())
    report["benchmarks"]["choice"] = {"after": {"n": 80, "flip": {"n": 40}, "kinds": {"color": {"n": 80}}}}
    (folder / "report.json").write_text(json.dumps(report))
    assert not any(row.errors for row in three_rows.table().rows)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"test-0"' not in line))
    (error,) = [error for row in three_rows.table().rows for error in row.errors]
    assert "choice.after.jsonl: has 79 of the 80 answers of the set test; remove" in error


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


def test_write_table_is_deterministic(three_rows, paper):
    def page_files():
        three_rows.write(preset=paper)
        return [(three_rows.folder / f"compare.{kind}").read_bytes() for kind in ("json", "md", "html")]

    assert page_files() == page_files()


def test_write_table_figures_can_be_traced(three_rows):
    three_rows.write()
    table = json.loads((three_rows.folder / "compare.json").read_text(encoding="utf-8"))
    folders = [cell["folder"] for result in table["rows"] for cell in result["cells"]]
    assert folders == [f"cells/{number:03d}" for number in range(9)]
    assert all((three_rows.folder / folder / "report.json").exists() for folder in folders)


def test_build_table_blind_run_has_no_gap(grid):
    grid.add("sft", {"choice": 0.6}, control="", role="control").add("blind", {"choice": 0.6})
    for path in grid.folder.glob("cells/*/predictions/*.jsonl"):
        kept = [line for line in path.read_text(encoding="utf-8").splitlines() if '"view": "blind"' in line]
        path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    score = grid.table().score(row(grid.table(), "blind"), CHOICE)
    assert score.gap is None
    assert score.after.mean == score.blind.mean
