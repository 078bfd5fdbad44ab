"""What happened, in one honest sentence: the first line of every report.

Post-training *hurt* when the paired 95 % interval of the change of any benchmark's score, or of its counterfactual
score, lies wholly below 0, or when the watchdog warned. It *helped* when none does and at least one lies wholly
above 0. Everything else is *no measurable change*.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from spa3d.report.document import Document, Line, score_lines
from spa3d.report.wording import percent, percent_span, points, points_span

Tone = Literal["helped", "even", "hurt", "open"]
WATCHDOG = "the watchdog saw the right answers to held-out records become less likely"


class Verdict(NamedTuple):
    """``claim`` is the news, ``evidence`` the figures behind it; both are plain text."""

    tone: Tone
    claim: str
    evidence: str

    @property
    def sentence(self) -> str:
        """Both as one line."""
        return f"{self.claim}: {self.evidence}"


def verdict(document: Document) -> Verdict:
    """Judge a run by its changes and by the watchdog."""
    lines = [line for line in score_lines(document) if line.part != "flip"]
    moved = [line for line in lines if line.change]
    if not moved:
        return _unfinished(document, lines)
    falls = [line for line in moved if line.change and line.change.ci95[1] < 0]
    rises = [line for line in moved if line.change and line.change.ci95[0] > 0]
    alarm = [WATCHDOG] if document.training.warnings else []
    told = [*map(_told, falls), *alarm, *map(_told, rises)]
    if not falls and not rises:
        told.append(_told(moved[0]))
    subject = _subject(document)
    if falls or alarm:
        return Verdict("hurt", f"{subject} hurt", _sentence(told))
    if rises:
        return Verdict("helped", f"{subject} helped", _sentence(told))
    return Verdict("even", f"{subject} made no measurable change", _sentence(told))


def cloud_worth(document: Document) -> str:
    """What the cloud is worth to the model that came out, on the first benchmark; empty where no cloud was shown."""
    for name, block in document.benchmarks.items():
        phase = block.after or block.before
        if phase is None or phase.gap is None:
            continue
        gap, (low, high) = phase.gap, phase.gap.ci95
        scores = f"With the cloud {percent(phase.score)} % of {name} is right, without it {percent(phase.blind)} %"
        worth = f"the cloud is worth {points(gap.score)} points (95 % interval {points_span(gap.ci95)})"
        if low <= 0 <= high:
            worth = f"the cloud makes no measurable difference ({points(gap.score)}, {points_span(gap.ci95)})"
        return f"{scores}: {worth}."
    return ""


def _subject(document: Document) -> str:
    objective = document.config.get("objective")
    name = objective.get("asked") if isinstance(objective, dict) else None
    blind = " (blind: no cloud was ever shown)" if _never_shown(document) else ""
    return f"Post-training with {name}{blind}" if name else f"Post-training{blind}"


def _never_shown(document: Document) -> bool:
    sides = [side for block in document.benchmarks.values() for side in (block.before, block.after) if side]
    return any(side.blind_only for side in sides)


def _told(line: Line) -> str:
    """One change in words."""
    if line.change is None:
        raise ValueError(f"{line.label} has no change to tell of")
    name = line.benchmark if line.part == "test" else f"{line.benchmark} ({line.label})"
    low, high = line.change.ci95
    span = f"95 % interval {points_span(line.change.ci95)}"
    if low <= 0 <= high:
        return f"{name} moved by {points(line.change.score)} points ({span})"
    verb = "rose" if low > 0 else "fell"
    return f"{name} {verb} by {points(abs(line.change.score)).lstrip('+')} points ({span})"


def _sentence(clauses: Sequence[str]) -> str:
    return "; ".join(clause.rstrip(". ") for clause in clauses) + "."


def _unfinished(document: Document, lines: list[Line]) -> Verdict:
    """There is nothing to compare: say how far the run came."""
    claim = "This run has no comparison yet" if document.status == "complete" else f"This run is {document.status}"
    told = []
    for line in lines[:1]:
        side, when = (line.before, "before") if line.before else (line.after, "after")
        if side:
            scored = f"{line.benchmark} stood at {percent(side.score)} % {when} post-training"
            told.append(f"{scored} (95 % interval {percent_span(side.ci95)}, blind {percent(side.blind)} %)")
    told = told or ["nothing was measured"]
    if document.training.warnings:
        return Verdict("hurt", claim, _sentence([*told, WATCHDOG]))
    return Verdict("open", claim, _sentence(told))
