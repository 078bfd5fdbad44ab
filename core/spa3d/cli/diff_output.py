"""Terminal output of ``spa3d diff``: verdict, table, changed questions, conditions."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from spa3d.cli.console import escape_text, output, print_sentence
from spa3d.comparison.paired.document import BenchmarkDifference, Flip, ModelDifference, SetDifference, Side
from spa3d.comparison.paired.wording import LEGEND
from spa3d.rendering.numbers import (
    NOTHING,
    format_count,
    format_p_value,
    format_percent,
    format_points,
    format_points_interval,
)
from spa3d.report.conditions import format_mcnemar, format_reach
from spa3d.report.run_details import format_decoding

HEADS = ("first", "second", "difference", "sees", "p", "McNemar", "blind", "blind difference", "chance", "n")
MOST_SETTINGS = 20
"""Different settings that are listed; --json has all."""
EXCERPT = 200
"""Characters of a text of a changed question."""


def show_difference(document: ModelDifference, target: str | None) -> None:
    """Print the differences of two models; `target` is the JSON file that was written, if any."""
    console = output()
    for sentence in document.verdict:
        print_sentence(console, escape_text(sentence, "bold"))
    for name, side in (("first", document.first), ("second", document.second)):
        print_sentence(console, escape_text(f"{name}: {_describe_side(side)}"))
    console.print()
    console.print(_make_table(document))
    print_sentence(console, escape_text(f"\n{LEGEND} {document.bootstrap:,} resamples.", "dim"))
    for line in (*document.notes, *document.left_out):
        print_sentence(console, escape_text(f"note: {line}", "yellow"))
    _show_settings(console, document)
    for name, block in document.benchmarks.items():
        _show_examples(console, name, block)
    if target is not None:
        console.print(escape_text(f"\n{target}"), soft_wrap=True)


def _describe_side(side: Side) -> str:
    """Describe where the answers of a side are from, and how they were made."""
    clauses = [side.path + (f", {side.phase} post-training" if side.phase else "")]
    clauses += ["seeds: " + ", ".join(f"{name} {seed}" for name, seed in side.seeds.items())] if side.seeds else []
    clauses += [f"decoding: {format_decoding(side.decoding)}"] if side.decoding else []
    return "; ".join(clauses)


def _make_table(document: ModelDifference) -> Table:
    table = Table("", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in HEADS:
        table.add_column(head, justify="right")
    for name, block in document.benchmarks.items():
        for subset, result in block.sets.items():
            table.add_row(escape_text(name if subset == "test" else f"  {subset}"), *_format_set(result))
        for kind, result in block.kinds.items() if len(block.kinds) > 1 else ():
            table.add_row(escape_text(f"  kind {kind}"), *_format_set(result))
    return table


def _format_set(result: SetDifference) -> Iterator[str]:
    difference, blind = result.difference, (result.first_blind, result.second_blind)
    yield format_percent(result.first)
    yield format_percent(result.second)
    yield f"{format_points(difference.score)} ({format_points_interval(difference.ci95)})"
    yield format_reach(difference) or NOTHING
    p = difference.p if difference.p_holm is None else difference.p_holm
    yield format_p_value(p).removeprefix("p = ").removeprefix("p ")
    yield format_mcnemar(difference.mcnemar) if difference.mcnemar else NOTHING
    yield " → ".join(NOTHING if share is None else format_percent(share) for share in blind)
    shift = difference.blind
    yield f"{format_points(shift.score)} ({format_points_interval(shift.ci95)})" if shift else NOTHING
    yield format_percent(result.chance)
    yield f"{result.n:,}"


def _show_settings(console: Console, document: ModelDifference) -> None:
    """Print the settings that differ."""
    if not document.settings:
        return
    console.print(
        escape_text(f"\n{format_count(len(document.settings), 'different setting')}, first → second:", "bold")
    )
    for line in document.settings[:MOST_SETTINGS]:
        print_sentence(console, escape_text(f"  {line}"))
    if len(document.settings) > MOST_SETTINGS:
        console.print(escape_text(f"  and {len(document.settings) - MOST_SETTINGS} more; --json lists all", "dim"))


def _show_examples(console: Console, name: str, block: BenchmarkDifference) -> None:
    """Print changed questions with both answers."""
    if not block.examples:
        return
    total = len(block.gained) + len(block.lost)
    console.print(escape_text(f"\n{name}: {len(block.examples)} of {format_count(total, 'changed question')}", "bold"))
    for flip in block.examples:
        for line in _format_flip(flip):
            print_sentence(console, escape_text(line))


def _format_flip(flip: Flip) -> Iterator[str]:
    side = "up" if flip.second_value > flip.first_value else "down"
    yield f"  {flip.id} ({flip.set}, {flip.kind}): {side}, {flip.first_value:g} → {flip.second_value:g}"
    texts = {"question": flip.prompt, "reference": flip.answer, "first": flip.first_text, "second": flip.second_text}
    for label, text in texts.items():
        line = " ".join(text.split())
        yield f"    {label}: {line if len(line) <= EXCERPT else line[:EXCERPT] + '…'}"
