"""The verdict of a comparison in a few sentences: the first lines of every table.

A row *beats* its control on a score when the paired 95 % interval of the difference lies above 0 and Holm's p, over all
comparisons of the table, is at most 0.05, and no seed points the other way.
The first sentence speaks of the first benchmark's own score; the second of
what else moved for sure, gains and losses alike; the last of what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from spa3d.comparison.document import BenchmarkSubset, Estimate, Table, TableRow, Tested
from spa3d.comparison.wording import format_control, format_seed_range, format_subset
from spa3d.rendering.numbers import NOTHING, format_count, format_points, format_points_interval

MOST_NAMED = 4
"""Rows named in one sentence; of more than these the number is told."""


class _Held(NamedTuple):
    """A row held against its control on one score."""

    row: TableRow
    subset: BenchmarkSubset
    tested: Tested


def judge_table(table: Table) -> tuple[str, ...]:
    """Judge the table in a few sentences, plain text."""
    subsets = table.subsets()
    if not subsets:
        return (f"Nothing to compare yet: {_states(table)}.",)
    held = _comparisons(table, subsets)
    main = [one for one in held if one.subset == subsets[0]]
    main_sentence = _main(table, main) if main else _without_control(table, subsets[0])
    others = _others([one for one in held if one.subset != subsets[0]], table)
    return tuple(sentence for sentence in (main_sentence, others, _caution(table, held), _missing(table)) if sentence)


def _comparisons(table: Table, subsets: Sequence[BenchmarkSubset]) -> list[_Held]:
    return [
        _Held(row, subset, held.against_control)
        for subset in subsets
        for row in table.rows
        if (held := table.score(row, subset)) and held.against_control
    ]


def _main(table: Table, held: Sequence[_Held]) -> str:
    """Name the rows above and below the control on the first score."""
    rival, where = format_control(table.budget), format_subset(held[0].subset)
    wins, losses = ([one for one in held if one.tested.side == side] for side in (1, -1))
    if wins:
        rows = f"{len(wins)} of {format_count(len(held), 'row')}"
        sentence = f"{rows} {'beats' if len(wins) == 1 else 'beat'} {rival} on {where}: {_named(wins)}"
    else:
        best = max(held, key=lambda one: one.tested.mean)
        which = "the only one" if len(held) == 1 else f"the best of {len(held)}"
        sentence = f"No row beats {rival} on {where}: {which}, {best.row.label}, is {_figure(best.tested)}"
    return f"{sentence}; below it: {_named(losses)}." if losses else f"{sentence}."


def _without_control(table: Table, subset: BenchmarkSubset) -> str:
    """Compare the rows with the base, for want of a control, and say so."""
    found = [(row, held.change) for row in table.rows if (held := table.score(row, subset))]
    row, change = max(found, key=lambda pair: pair[1].mean)
    best = f"against the base the best on {format_subset(subset)}, {row.label}, is {_figure(change)}"
    return f"No row has a finished SFT control, so nothing says whether SFT would have done as well: {best}."


def _others(held: Sequence[_Held], table: Table) -> str:
    """Name the certain gains and losses on the other scores."""
    gains, losses = ([one for one in held if one.tested.side == side] for side in (1, -1))
    clauses = [
        f"{verb} {format_control(table.budget)} on other scores: {_named(those, subsets=True)}."
        for verb, those in (("Above", gains), ("Below", losses))
        if those
    ]
    return " ".join(clauses)


def _caution(table: Table, held: Sequence[_Held]) -> str:
    """Count the comparisons, those that survive correction, and those that do not."""
    family, lucky = table.family, sum(one.tested.lucky for one in held)
    if family.comparisons < 2:
        return ""
    scope = f"{format_count(family.rows, 'row')} on {format_count(family.scores, 'score')}"
    sure = sum(one.tested.side != 0 for one in held)
    sentence = f"Of {family.comparisons} comparisons ({scope}) {sure or 'none'} {'survives' if sure < 2 else 'survive'}"
    alone = f"; {lucky} more {'has' if lucky == 1 else 'have'} an interval without 0 when taken alone" if lucky else ""
    return f"{sentence} Holm's correction for all with every seed on one side{alone}."


def _missing(table: Table) -> str:
    return "" if table.counts["done"] == sum(table.counts.values()) else f"Not whole: {_states(table)}."


def _states(table: Table) -> str:
    total = sum(table.counts.values())
    clauses = [f"{table.counts['done']} of {format_count(total, 'cell')} done"]
    clauses += [f"{table.counts[status]} {status}" for status in ("failed", "to do") if table.counts[status]]
    return ", ".join(clauses)


def _named(held: Sequence[_Held], *, subsets: bool = False) -> str:
    """List the rows with their figures, the largest differences first."""
    ranked = sorted(held, key=lambda one: -abs(one.tested.mean))
    clauses = [
        f"{one.row.label}{f' on {format_subset(one.subset)}' if subsets else ''} by {_figure(one.tested)}"
        for one in ranked[:MOST_NAMED]
    ]
    return "; ".join(clauses) + (f" and {len(ranked) - MOST_NAMED} more" if len(ranked) > MOST_NAMED else "")


def _figure(found: Estimate) -> str:
    seeds = format_seed_range(found)
    beside = f"; seeds {seeds}" if seeds != NOTHING else ""
    return f"{format_points(found.mean)} points ({format_points_interval(found.ci95)}{beside})"
