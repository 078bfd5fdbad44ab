"""Results of examinations: facts, findings, and what a model expects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from spa3d.data.doctor.expectation import Expectation
from spa3d.data.doctor.facts import CloudFacts
from spa3d.data.doctor.findings import Finding
from spa3d.data.doctor.repairs import Repairs
from spa3d.data.doctor.scale import guess_scale
from spa3d.data.doctor.set_facts import SetFacts


@dataclass(frozen=True)
class _Report:
    """What the reports of clouds and data sets share.

    Attributes:
        findings: the worst first.
        expected: what a model expects; None without one.

    """

    findings: tuple[Finding, ...]
    expected: Expectation | None

    @property
    def certain_repairs(self) -> Repairs:
        """The steps that findings recommend and that cannot be wrong."""
        return self._join_repairs(certain=True)

    @property
    def recommended_repairs(self) -> Repairs:
        """The steps that findings recommend."""
        return self._join_repairs(certain=False)

    def _join_repairs(self, *, certain: bool) -> Repairs:
        joined = Repairs()
        for finding in reversed(self.findings):  # the worst finding decides
            if finding.repairs and (finding.certain or not certain):
                joined |= finding.repairs
        return joined


@dataclass(frozen=True)
class CloudReport(_Report):
    """Result of the examination of one cloud.

    Attributes:
        facts: what was measured.

    """

    facts: CloudFacts

    def to_json(self) -> dict[str, Any]:
        """Values for a JSON report."""
        return {
            "cloud": self.facts.to_json() | {"scale": guess_scale(self.facts)},
            "expected": self.expected and self.expected.to_json(),
            "findings": [finding.to_json() for finding in self.findings],
        }


@dataclass(frozen=True)
class DatasetReport(_Report):
    """Result of the examination of a data set.

    Attributes:
        facts: what was measured.
        floors: by benchmark, what answers without clouds score: ``questions``, ``chance``, ``text-table``,
            ``majority``.

    """

    facts: SetFacts
    floors: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> dict[str, Any]:
        """Values for a JSON report."""
        return self.facts.to_json() | {
            "floors": {name: dict(scores) for name, scores in self.floors.items()},
            "expected": self.expected and self.expected.to_json(),
            "findings": [finding.to_json() for finding in self.findings],
        }
