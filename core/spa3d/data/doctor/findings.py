"""Findings of the doctor: what is seen, what it does to a model, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from spa3d.data.doctor.repairs import Repairs

Severity = Literal["fault", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("fault", "warning", "note")
"""From worst to least: refused or wrong in any model; worse answers to be expected; worth knowing."""
Subject = Literal["cloud", "model", "data set"]


@dataclass(frozen=True)
class FindingKind:
    """One kind of finding.

    Attributes:
        severity: how bad it is.
        subject: what is examined: a cloud, a cloud beside a model, or a data set.
        meaning: when it is reported, for docs.

    """

    severity: Severity
    subject: Subject
    meaning: str


KINDS: Mapping[str, FindingKind] = MappingProxyType(
    {
        "empty": FindingKind("fault", "cloud", "no points, or none with finite coordinates"),
        "one-place": FindingKind("fault", "cloud", "all points coincide"),
        "invalid": FindingKind("fault", "cloud", "NaN or infinity in points or colors"),
        "colors-255": FindingKind("fault", "cloud", "colors from 0 to 255 that are not declared"),
        "colors-65535": FindingKind("fault", "cloud", "colors from 0 to 65535"),
        "colors-signed": FindingKind("fault", "cloud", "colors from -1 to 1"),
        "colors-normals": FindingKind("warning", "cloud", "the color columns hold unit vectors: normals"),
        "colors-outside": FindingKind("fault", "cloud", "colors beyond 0 to 1, in no known range"),
        "coarse-type": FindingKind("fault", "cloud", "the float type of the file rounds the shape away"),
        "colors-dark": FindingKind("warning", "cloud", "no color above 1/255: divided by 255 twice"),
        "colors-black": FindingKind("warning", "cloud", "all colors are 0"),
        "colors-flat": FindingKind("note", "cloud", "all points have one color"),
        "no-color": FindingKind("note", "cloud", "the file has no colors"),
        "up-axis": FindingKind("warning", "cloud", "another axis than y seems to point up; a guess"),
        "outliers": FindingKind("warning", "cloud", "a few points far from the rest, behind a gap"),
        "duplicates": FindingKind("warning", "cloud", "at least 10 % of the points repeat another one"),
        "line": FindingKind("warning", "cloud", "all points on a line"),
        "planar": FindingKind("warning", "cloud", "all points in a plane"),
        "few-points": FindingKind("warning", "cloud", "fewer than 256 different points"),
        "grid": FindingKind("warning", "cloud", "coordinates are rounded to less than 64 steps"),
        "uneven": FindingKind("note", "cloud", "the spacing of points varies more than eightfold"),
        "one-sided": FindingKind("note", "cloud", "only one side is there, as in a scan from one view"),
        "far": FindingKind("note", "cloud", "the cloud is far from the origin, as with UTM coordinates"),
        "normals-length": FindingKind("note", "cloud", "normals that are not of length 1"),
        "model-points": FindingKind("fault", "model", "fewer points than the encoder takes"),
        "model-repeats": FindingKind("warning", "model", "fewer points than the model takes; points are repeated"),
        "model-thinned": FindingKind("note", "model", "more than four times the points that the model takes"),
        "model-no-color": FindingKind("warning", "model", "the encoder takes colors and the cloud has none"),
        "model-color-unused": FindingKind("note", "model", "the cloud has colors and the encoder takes none"),
        "model-color-unseen": FindingKind("warning", "model", "the training clouds had no colors, and this one has"),
        "model-up-axis": FindingKind("warning", "model", "another axis than the model's seems to point up; a guess"),
        "model-scale": FindingKind("warning", "model", "another size, and the model does not normalize clouds"),
        "no-data-set": FindingKind("fault", "data set", "a run cannot use the folder; its clouds were examined alone"),
        "unreadable": FindingKind("fault", "data set", "records whose text or cloud cannot be used"),
        "empty-split": FindingKind("fault", "data set", "train, val or test is missing or has no record"),
        "same-id": FindingKind("fault", "data set", "two records with one id"),
        "same-group": FindingKind("fault", "data set", "an object, or a group of look-alikes, in two splits"),
        "same-cloud": FindingKind("fault", "data set", "the same points in two splits"),
        "repeated-cloud": FindingKind("note", "data set", "the same points in several records of a split"),
        "empty-text": FindingKind("warning", "data set", "questions or answers without a word"),
        "long-text": FindingKind("warning", "data set", "texts of more than 4,000 characters"),
        "common-caption": FindingKind("warning", "data set", "one caption for at least 5 % of the records"),
        "answer-prior": FindingKind(
            "warning", "data set", "the most common training answer is right for at least half of the test answers"
        ),
        "mixed-color": FindingKind("warning", "data set", "some clouds have color, and some do not"),
        "mixed-scale": FindingKind("note", "data set", "sizes of clouds differ more than a thousandfold"),
        "mixed-size": FindingKind("note", "data set", "numbers of points differ more than tenfold"),
        "mixed-up-axis": FindingKind("warning", "data set", "splits or groups of clouds seem to differ in what is up"),
        "set-up-axis": FindingKind("warning", "data set", "another axis than the declared one seems to point up"),
    }
)
"""Every kind of finding, by name."""


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        kind: one of `KINDS`.
        seen: what is there, a sentence with figures.
        effect: what it does to a model, a sentence.
        remedy: what mends it: a flag, a repair, or what to do by hand; empty if nothing needs to be done.
        repairs: steps of ``--fix`` that mend it; None if there are none.
        certain: whether these steps cannot be wrong, so that ``--fix`` takes them unasked.
        examples: names of files or records, the first ones.

    """

    kind: str
    seen: str
    effect: str
    remedy: str = ""
    repairs: Repairs | None = None
    certain: bool = False
    examples: tuple[str, ...] = field(default=())

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return KINDS[self.kind].severity

    def to_json(self) -> dict[str, Any]:
        """Values of the finding for a JSON report."""
        flags = self.repairs.flags() if self.repairs else ""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "seen": self.seen,
            "effect": self.effect,
            "remedy": self.remedy,
            "fix": flags,
            "certain": self.certain,
            "examples": [*self.examples],
        }


def sort_findings(findings: list[Finding]) -> tuple[Finding, ...]:
    """Sort findings by severity, the worst first; equal ones keep their order."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
