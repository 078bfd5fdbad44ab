"""What a comparison found, in a few honest sentences: the first lines of every table.

A row *beats* its control on a score when the paired 95 % interval of the difference lies above 0 and Holm's p, over all
comparisons of the table, is at most 0.05, and no seed points the other way.
The first sentence speaks of the first benchmark's own score; the second of
what else moved for sure, gains and losses alike; the last of what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from spa3d.comparison.document import Estimate, Table, TableRow, Tested
from spa3d.comparison.wording import control_name, ends_told, part_name
from spa3d.rendering.numbers import NOTHING, count, points, points_span

MOST_NAMED = 4
"""Rows named in one sentence; of more than these the number is told."""


class _Held(NamedTuple):
    """A row held against its control on one score."""

    row: TableRow
    part: tuple[str, str]
    tested: Tested


def verdict(table: Table) -> tuple[str, ...]:
    """The sentences, plain text."""
    parts = table.parts()
    if not parts:
        return (f"Nothing to compare yet: {_states(table)}.",)
    held = _comparisons(table, parts)
    main = [one for one in held if one.part == parts[0]]
    told = _main(table, main) if main else _without_control(table, parts[0])
    others = _others([one for one in held if one.part != parts[0]], table)
    return tuple(sentence for sentence in (told, others, _caution(table, held), _missing(table)) if sentence)


def _comparisons(table: Table, parts: Sequence[tuple[str, str]]) -> list[_Held]:
    return [
        _Held(row, part, held.against_control)
        for part in parts
        for row in table.rows
        if (held := table.score(row, part)) and held.against_control
    ]


def _main(table: Table, held: Sequence[_Held]) -> str:
    """Who beats the control on the first score, and who falls below it."""
    rival, where = control_name(table.budget), part_name(held[0].part)
    wins, losses = ([one for one in held if one.tested.side == side] for side in (1, -1))
    if wins:
        rows = f"{len(wins)} of {count(len(held), 'row')}"
        told = f"{rows} {'beats' if len(wins) == 1 else 'beat'} {rival} on {where}: {_named(wins)}"
    else:
        best = max(held, key=lambda one: one.tested.mean)
        which = "the only one" if len(held) == 1 else f"the best of {len(held)}"
        told = f"No row beats {rival} on {where}: {which}, {best.row.label}, is {_figure(best.tested)}"
    return f"{told}; below it: {_named(losses)}." if losses else f"{told}."


def _without_control(table: Table, part: tuple[str, str]) -> str:
    """There is no control: hold the rows against the base, and say so."""
    found = [(row, held.change) for row in table.rows if (held := table.score(row, part))]
    row, change = max(found, key=lambda pair: pair[1].mean)
    best = f"against the base the best on {part_name(part)}, {row.label}, is {_figure(change)}"
    return f"No row has a finished SFT control, so nothing says whether SFT would have done as well: {best}."


def _others(held: Sequence[_Held], table: Table) -> str:
    """What else moved for sure: the gains, and what pays for them."""
    gains, losses = ([one for one in held if one.tested.side == side] for side in (1, -1))
    told = [
        f"{verb} {control_name(table.budget)} on other scores: {_named(those, parts=True)}."
        for verb, those in (("Above", gains), ("Below", losses))
        if those
    ]
    return " ".join(told)


def _caution(table: Table, held: Sequence[_Held]) -> str:
    """How many comparisons were made, and what luck would look like."""
    family, lucky = table.family, sum(one.tested.lucky for one in held)
    if family.comparisons < 2:
        return ""
    scope = f"{count(family.rows, 'row')} on {count(family.scores, 'score')}"
    sure = sum(one.tested.side != 0 for one in held)
    told = f"Of {family.comparisons} comparisons ({scope}) {sure or 'none'} {'survives' if sure < 2 else 'survive'}"
    alone = f"; {lucky} more {'has' if lucky == 1 else 'have'} an interval without 0 when taken alone" if lucky else ""
    return f"{told} Holm's correction for all with every seed on one side{alone}."


def _missing(table: Table) -> str:
    return "" if table.counts["done"] == sum(table.counts.values()) else f"Not whole: {_states(table)}."


def _states(table: Table) -> str:
    total = sum(table.counts.values())
    told = [f"{table.counts['done']} of {count(total, 'cell')} done"]
    told += [f"{table.counts[status]} {status}" for status in ("failed", "to do") if table.counts[status]]
    return ", ".join(told)


def _named(held: Sequence[_Held], *, parts: bool = False) -> str:
    """The rows with their figures, those that moved farthest first."""
    ranked = sorted(held, key=lambda one: -abs(one.tested.mean))
    told = [
        f"{one.row.label}{f' on {part_name(one.part)}' if parts else ''} by {_figure(one.tested)}"
        for one in ranked[:MOST_NAMED]
    ]
    return "; ".join(told) + (f" and {len(ranked) - MOST_NAMED} more" if len(ranked) > MOST_NAMED else "")


def _figure(found: Estimate) -> str:
    seeds = ends_told(found)
    beside = f"; seeds {seeds}" if seeds != NOTHING else ""
    return f"{points(found.mean)} points ({points_span(found.ci95)}{beside})"
