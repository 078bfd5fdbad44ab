"""Verdict on a run in one sentence: the first line of every report.

The verdict uses the paired 95 % intervals of the changes of all benchmark scores and counterfactual scores.
Post-training *hurt* if any interval lies wholly below 0, or if the watchdog warned. Otherwise it *helped* if at least
one interval lies wholly above 0. Everything else is *no measurable change*.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from spa3d.rendering.numbers import (
    format_percent,
    format_percent_interval,
    format_points,
    format_points_interval,
)
from spa3d.report.document import Document, ScoreLine, TestedShift, collect_score_lines

Tone = Literal["helped", "even", "hurt", "open"]
WATCHDOG = "the watchdog warned: the right answers to held-out records became less likely"


class Verdict(NamedTuple):
    """Claim and evidence as plain text, the most important evidence first."""

    tone: Tone
    claim: str
    evidence: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Claim and evidence in one line."""
        return f"{self.claim}: {'; '.join(self.evidence)}."


def judge_run(document: Document) -> Verdict:
    """Judge a run by its changes and by the watchdog."""
    lines = [line for line in collect_score_lines(document) if line.subset != "flip"]
    moved = [(_name(line), line.change) for line in lines if line.change]
    alarm = (WATCHDOG,) if document.training.warnings else ()
    if not moved:
        return _describe_unfinished(document, lines, alarm)
    falls = [_describe_change(*move) for move in moved if move[1].ci95[1] < 0]
    rises = [_describe_change(*move) for move in moved if move[1].ci95[0] > 0]
    evidence = (*falls, *alarm, *rises) if falls or rises else (*alarm, _describe_change(*moved[0]))
    subject = _subject(document)
    if falls or alarm:
        return Verdict("hurt", f"{subject} hurt", evidence)
    if rises:
        return Verdict("helped", f"{subject} helped", evidence)
    return Verdict("even", f"{subject} made no measurable change", evidence)


def describe_cloud_gain(document: Document) -> str:
    """Describe the gain from the cloud on the first benchmark; empty in a run without clouds."""
    for name, block in document.benchmarks.items():
        phase = block.after or block.before
        if phase is None or phase.gap is None:
            continue
        seen, unseen, (low, high) = format_percent(phase.score), format_percent(phase.blind), phase.gap.ci95
        scores = f"The {name} score is {seen} % with the cloud and {unseen} % without it"
        if low <= 0 <= high:
            interval = format_points_interval(phase.gap.ci95)
            return f"{scores}: the cloud makes no measurable difference (95 % interval {interval})."
        small, large = sorted((abs(low), abs(high)))
        interval = f"95 % interval {format_percent(small)} to {format_percent(large)}"
        direction = "higher" if low > 0 else "lower"
        points = format_percent(abs(phase.gap.score))
        return f"{scores}: with the cloud it is {points} points {direction} ({interval})."
    return ""


def _subject(document: Document) -> str:
    objective = document.config.get("objective")
    name = objective.get("requested") if isinstance(objective, dict) else None
    sides = [side for block in document.benchmarks.values() for side in (block.before, block.after) if side]
    blind = " (blind: the model never saw a cloud)" if any(side.blind_only for side in sides) else ""
    return f"Post-training with {name}{blind}" if name else f"Post-training{blind}"


def _name(line: ScoreLine) -> str:
    return line.benchmark if line.subset == "test" else f"{line.benchmark} ({line.label})"


def _describe_change(name: str, change: TestedShift) -> str:
    """Describe one change."""
    low, high = change.ci95
    span = f"95 % interval {format_points_interval(change.ci95)}"
    if low <= 0 <= high:
        return f"{name} moved by {format_points(change.score)} points ({span})"
    verb = "rose" if low > 0 else "fell"
    return f"{name} {verb} by {format_percent(abs(change.score))} points ({span})"


def _describe_unfinished(document: Document, lines: Sequence[ScoreLine], alarm: tuple[str, ...]) -> Verdict:
    """Describe the state of a run without a comparison."""
    claim = "This run has no comparison yet" if document.status == "complete" else f"This run is {document.status}"
    sentence = "nothing was measured"
    for line in lines[:1]:
        side, when = (line.before, "before") if line.before else (line.after, "after")
        if side:
            span = f"95 % interval {format_percent_interval(side.ci95)}, blind {format_percent(side.blind)} %"
            sentence = f"{_name(line)} was {format_percent(side.score)} % {when} post-training ({span})"
    return Verdict("hurt" if alarm else "open", claim, (*alarm, sentence))
