"""Sentences about the differences between two models."""

from __future__ import annotations

from collections.abc import Iterator

from spa3d.comparison.paired.document import BenchmarkDifference, Difference, ModelDifference
from spa3d.rendering.numbers import (
    MINUS,
    format_count,
    format_p_value,
    format_percent,
    format_plus_minus,
    format_points,
    format_points_interval,
)

ALPHA = 0.05
"""Largest corrected p value of a difference that counts."""
LEGEND = (
    "Shares in %; differences are second minus first, in points, with paired 95 % bootstrap intervals over groups of "
    "look-alike records. Sees: smallest true difference found in 80 % of cases (two-sided, 5 %, this score alone). p: "
    "sign flips of whole groups, corrected by Holm's method over all sets; kinds and unseen are not corrected. "
    f"McNemar: exact test that takes questions as independent (+ right with the second only, {MINUS} with the first "
    "only). Blind: without the cloud."
)


def judge_difference(document: ModelDifference) -> tuple[str, ...]:
    """Judge two models in a sentence for each benchmark, plain text."""
    return tuple(_judge_benchmark(name, block) for name, block in document.benchmarks.items())


def describe_left_out(name: str, block: BenchmarkDifference) -> str:
    """Describe the questions of a benchmark that were left out; empty if there are none."""
    counts = {
        "only in the first": block.only_first,
        "only in the second": block.only_second,
        "not the same in both": block.changed,
    }
    clauses = [f"{count:,} {what}" for what, count in counts.items() if count]
    return f"{name}: left out: {', '.join(clauses)}" if clauses else ""


def is_significant(difference: Difference) -> bool:
    """Whether the interval excludes 0 and the corrected p value is small."""
    p = difference.p if difference.p_holm is None else difference.p_holm
    return difference.side != 0 and p <= ALPHA


def _judge_benchmark(name: str, block: BenchmarkDifference) -> str:
    clauses = list(_describe_sets(name, block))
    flipped = len(block.gained), len(block.lost)
    changed = f"{format_count(sum(flipped), 'question')} changed: {flipped[0]:,} up, {flipped[1]:,} down"
    return f"{'; '.join(clauses)}. {changed}."


def _describe_sets(name: str, block: BenchmarkDifference) -> Iterator[str]:
    for subset, result in block.sets.items():
        difference, where = result.difference, name if subset == "test" else subset
        span = f"95 % interval {format_points_interval(difference.ci95)}"
        if is_significant(difference):
            better = "higher" if difference.score > 0 else "lower"
            yield f"{where}: the second is {format_percent(abs(difference.score))} points {better} ({span})"
        elif subset == next(iter(block.sets)):
            moved = f"{format_points(difference.score)} points ({span}{_describe_p(difference)}"
            reach = format_plus_minus(difference.mde or 0)
            yield f"{where}: no measurable difference, {moved}; could have seen {reach} points)"


def _describe_p(difference: Difference) -> str:
    """Describe a p value that decides against an interval that excludes 0."""
    if not difference.side or difference.p_holm is None:
        return ""
    return f", but Holm's {format_p_value(difference.p_holm)}"
