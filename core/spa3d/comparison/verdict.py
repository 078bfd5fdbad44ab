"""The verdict of a comparison: a few sentences at the top of every table.

A row *beats* its control on a score if three things hold: the paired 95 % interval of the difference lies above 0,
Holm's p over all comparisons of the table is at most 0.05, and no seed has the opposite sign.
The first sentence is about the test score of the first benchmark. The next ones name significant gains and losses on
other scores, the number of comparisons, and missing cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from spa3d.comparison.document import BenchmarkSubset, Estimate, Table, TableRow, TestedEstimate
from spa3d.comparison.wording import format_control, format_seed_range, format_subset
from spa3d.rendering.numbers import NOTHING, format_count, format_plus_minus, format_points, format_points_interval

MOST_NAMED = 4
"""Rows named in one sentence; further rows are only counted."""


class _ComparedRow(NamedTuple):
    """A row compared with its control on one score."""

    row: TableRow
    subset: BenchmarkSubset
    tested: TestedEstimate


def judge_table(table: Table) -> tuple[str, ...]:
    """Judge the table in a few sentences, plain text."""
    subsets = table.subsets()
    if not subsets:
        return (f"Nothing to compare yet: {_format_states(table)}.",)
    compared = _collect_comparisons(table, subsets)
    main = [entry for entry in compared if entry.subset == subsets[0]]
    main_sentence = _describe_main(table, main) if main else _describe_without_control(table, subsets[0])
    others = _describe_others([entry for entry in compared if entry.subset != subsets[0]], table)
    return tuple(
        sentence
        for sentence in (main_sentence, others, _count_significant(table, compared), _describe_missing(table))
        if sentence
    )


def _collect_comparisons(table: Table, subsets: Sequence[BenchmarkSubset]) -> list[_ComparedRow]:
    return [
        _ComparedRow(row, subset, score.against_control)
        for subset in subsets
        for row in table.rows
        if (score := table.score(row, subset)) and score.against_control
    ]


def _describe_main(table: Table, compared: Sequence[_ComparedRow]) -> str:
    """Name the rows significantly above and below the control on the first score."""
    rival, where = format_control(table.budget), format_subset(compared[0].subset)
    wins, losses = ([entry for entry in compared if entry.tested.side == side] for side in (1, -1))
    if wins:
        rows = f"{len(wins)} of {format_count(len(compared), 'row')}"
        sentence = f"{rows} {'beats' if len(wins) == 1 else 'beat'} {rival} on {where}: {_list_rows(wins)}"
    else:
        best = max(compared, key=lambda entry: entry.tested.mean)
        which = "the only row" if len(compared) == 1 else f"the best of {len(compared)}"
        moved = _format_difference(best.tested, reach=True)
        sentence = f"No row beats {rival} on {where}: {which}, {best.row.label}, differs by {moved}"
    return f"{sentence}; below it: {_list_rows(losses)}." if losses else f"{sentence}."


def _describe_without_control(table: Table, subset: BenchmarkSubset) -> str:
    """Say that no control is finished, and compare the rows with the base."""
    changes = [(row, score.change) for row in table.rows if (score := table.score(row, subset))]
    row, change = max(changes, key=lambda pair: pair[1].mean)
    moved = _format_difference(change, reach=change.contains_zero)
    best = f"the best row on {format_subset(subset)}, {row.label}, differs from the base by {moved}"
    return f"No row has a finished SFT control, so a comparison with SFT is not possible yet: {best}."


def _describe_others(compared: Sequence[_ComparedRow], table: Table) -> str:
    """Name the significant gains and losses on the other scores."""
    gains, losses = ([entry for entry in compared if entry.tested.side == side] for side in (1, -1))
    clauses = [
        f"{verb} {format_control(table.budget)} on other scores: {_list_rows(rows, subsets=True)}."
        for verb, rows in (("Above", gains), ("Below", losses))
        if rows
    ]
    return " ".join(clauses)


def _count_significant(table: Table, compared: Sequence[_ComparedRow]) -> str:
    """Count all comparisons, the significant ones, and those that are significant alone only."""
    family, lucky = table.family, sum(entry.tested.is_unconfirmed for entry in compared)
    if family.comparisons < 2:
        return ""
    scope = f"{format_count(family.rows, 'row')} on {format_count(family.scores, 'score')}"
    significant = sum(entry.tested.side != 0 for entry in compared)
    sentence = (
        f"Of {family.comparisons} comparisons ({scope}), {significant or 'none'} {'is' if significant < 2 else 'are'}"
    )
    alone = f"; {lucky} more {'is' if lucky == 1 else 'are'} significant alone" if lucky else ""
    return f"{sentence} significant after Holm's correction with all seeds agreeing{alone}."


def _describe_missing(table: Table) -> str:
    return "" if table.counts["done"] == sum(table.counts.values()) else f"Incomplete: {_format_states(table)}."


def _format_states(table: Table) -> str:
    total = sum(table.counts.values())
    clauses = [f"{table.counts['done']} of {format_count(total, 'cell')} done"]
    clauses += [f"{table.counts[status]} {status}" for status in ("failed", "to do") if table.counts[status]]
    return ", ".join(clauses)


def _list_rows(compared: Sequence[_ComparedRow], *, subsets: bool = False) -> str:
    """List the rows with their figures, the largest differences first."""
    ranked = sorted(compared, key=lambda entry: -abs(entry.tested.mean))
    clauses = [_format_entry(entry, subsets=subsets) for entry in ranked[:MOST_NAMED]]
    return "; ".join(clauses) + (f" and {len(ranked) - MOST_NAMED} more" if len(ranked) > MOST_NAMED else "")


def _format_entry(entry: _ComparedRow, *, subsets: bool) -> str:
    where = f" on {format_subset(entry.subset)}" if subsets else ""
    return f"{entry.row.label}{where} by {_format_difference(entry.tested)}"


def _format_difference(estimate: Estimate, *, reach: bool = False) -> str:
    """Format a difference; `reach` adds the smallest one that could have been seen."""
    seeds = format_seed_range(estimate)
    beside = f"; seeds {seeds}" if seeds != NOTHING else ""
    if reach and estimate.mde is not None:
        beside += f"; could have seen {format_plus_minus(estimate.mde)} points"
    return f"{format_points(estimate.mean)} points ({format_points_interval(estimate.ci95)}{beside})"
