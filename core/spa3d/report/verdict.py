"""Verdict on a run in one sentence: the first line of every report.

The verdict uses the changes of all benchmark scores and counterfactual scores. ``unseen`` and ``flip`` are left out:
they are about the same objects again. A change counts if its paired 95 % interval excludes 0 and its p value, corrected
by Holm's method for the number of these scores, is at most 0.05. So at most one run in twenty in which nothing happened
gets another verdict than *no measurable change*. Post-training *hurt* if a score fell, or if the watchdog warned.
Otherwise it *helped* if a score rose. A run that diverged is called so, whatever was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from spa3d.metrics.intervals import correct_holm
from spa3d.rendering.numbers import (
    format_count,
    format_percent,
    format_percent_interval,
    format_points,
    format_points_interval,
)
from spa3d.report.conditions import format_reach
from spa3d.report.document import BenchmarkScore, Document, ScoreLine, Shift, TestedShift, collect_score_lines

Tone = Literal["helped", "even", "hurt", "open"]
FLOORS = {
    "blind": "the same model without the cloud",
    "trained-blind": "a model trained without clouds",
    "text-table": "the most frequent training answer to each question",
    "majority": "the most frequent answer to each kind of question",
}
"""Sources of a text floor, in words."""
ALPHA = 0.05
"""Largest corrected p value of a change that counts."""
DIVERGED = "diverged"
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
    lines = [line for line in collect_score_lines(document) if line.subset not in ("unseen", "flip")]
    moved = [(_name(line), line.change) for line in lines if line.change]
    alarm = (WATCHDOG,) if document.training.warnings else ()
    if not moved or document.status == DIVERGED:
        return _describe_unfinished(document, lines, alarm)
    corrected = correct_holm([change.p for _, change in moved])
    sides = [change.side for _, change in moved]
    described = [_describe_change(*move) for move in moved]
    falls, rises = (
        [text for text, side, p in zip(described, sides, corrected, strict=True) if side == sign and p <= ALPHA]
        for sign in (-1, 1)
    )
    alone = [
        f"{text}, not significant among {format_count(len(moved), 'score')}"
        for text, side, p in zip(described, sides, corrected, strict=True)
        if side and p > ALPHA
    ]
    subject, first = _subject(document), [] if falls or rises or sides[0] else described[:1]
    if falls or alarm:
        return Verdict("hurt", f"{subject} hurt", (*falls, *alarm, *rises, *first, *alone))
    if rises:
        return Verdict("helped", f"{subject} helped", (*rises, *alone))
    return Verdict("even", f"{subject} made no measurable change", (*first, *alone))


def describe_cloud_gain(document: Document) -> str:
    """Describe the gain from the cloud on the first benchmark: the distance to the text floor."""
    phases = ((name, block.after or block.before) for name, block in document.benchmarks.items())
    return next((text for name, phase in phases if phase and (text := describe_gain(name, phase))), "")


def describe_gain(name: str, phase: BenchmarkScore) -> str:
    """Describe the distance of a score to its text floor; empty if it has none."""
    if phase.worth is None or phase.text_floor is None:
        return ""
    floor, (low, high) = phase.text_floor, phase.worth.ci95
    scores = (
        f"The {name} score is {format_percent(phase.score)} %; text alone gives {format_percent(floor.score)} % "
        f"({FLOORS.get(floor.source, floor.source)})"
    )
    interval = f"95 % interval {format_points_interval(phase.worth.ci95)}"
    if low <= 0 <= high:
        return f"{scores}: the cloud makes no measurable difference ({interval}{_describe_reach(phase.worth)})."
    return f"{scores}: with the cloud the score is {_points(phase.worth.score)} ({interval})."


def _points(difference: float) -> str:
    return f"{format_percent(abs(difference))} points {'higher' if difference > 0 else 'lower'}"


def _subject(document: Document) -> str:
    objective = document.config.get("objective")
    name = objective.get("requested") if isinstance(objective, dict) else None
    sides = [side for block in document.benchmarks.values() for side in (block.before, block.after) if side]
    blind = " (blind: the model never saw a cloud)" if any(side.blind_only for side in sides) else ""
    return f"Post-training with {name}{blind}" if name else f"Post-training{blind}"


def _name(line: ScoreLine) -> str:
    return line.benchmark if line.subset == "test" else f"{line.benchmark} ({line.label})"


def _describe_reach(shift: Shift) -> str:
    """Describe the minimum detectable effect; empty in reports of earlier versions."""
    return f"; could have seen {format_reach(shift)} points" if shift.mde is not None else ""


def _describe_change(name: str, change: TestedShift) -> str:
    """Describe one change; one that was not measured stands beside what could have been."""
    span = f"95 % interval {format_points_interval(change.ci95)}"
    if not change.side:
        return f"{name} moved by {format_points(change.score)} points ({span}{_describe_reach(change)})"
    verb = "rose" if change.side > 0 else "fell"
    return f"{name} {verb} by {format_percent(abs(change.score))} points ({span})"


def _describe_unfinished(document: Document, lines: Sequence[ScoreLine], alarm: tuple[str, ...]) -> Verdict:
    """Describe the state of a run without a comparison."""
    claim = {"complete": "This run has no comparison yet", DIVERGED: "This run diverged"}.get(
        document.status, f"This run is {document.status}"
    )
    reasons = (document.reason, *alarm) if document.reason else alarm
    sentence = "nothing was measured"
    for line in lines[:1]:
        side, when = (line.before, "before") if line.before else (line.after, "after")
        if side:
            span = f"95 % interval {format_percent_interval(side.ci95)}, blind {format_percent(side.blind)} %"
            sentence = f"{_name(line)} was {format_percent(side.score)} % {when} post-training ({span})"
    bad = alarm or document.status == DIVERGED
    return Verdict("hurt" if bad else "open", claim, (*reasons, sentence))
