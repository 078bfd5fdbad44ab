"""Guess of the unit of a cloud, from its numbers alone."""

from __future__ import annotations

from spa3d.data.doctor.facts import CloudFacts

UNITS = (("meters", 1.0), ("centimeters", 0.01), ("millimeters", 0.001))
_SIZES = (
    (0.01, "dust"),
    (0.1, "something that fits into a hand"),
    (0.5, "something on a table"),
    (2.5, "a piece of furniture or a person"),
    (12.0, "a vehicle or a room"),
    (100.0, "a building"),
    (5000.0, "a street or a site"),
    (float("inf"), "a landscape"),
)
"""Largest extents in meters, and what is that large."""


def guess_scale(facts: CloudFacts) -> str:
    """Describe what the extent would be in each unit, or that the cloud is normalized.

    A cloud does not state its unit. Only a normalized one is recognized; otherwise the user decides.
    """
    largest = max(facts.extent)
    if not largest > 0:
        return "no extent"
    centered = max(map(abs, facts.center)) < 0.01 * facts.radius
    if abs(facts.radius - 1) < 0.01 and centered:
        return "normalized to the unit sphere; the unit is lost"
    bounds = {max(map(abs, (*facts.low, *facts.high)))}
    if any(abs(bound - edge) < 1e-4 for bound in bounds for edge in (0.5, 1.0)):
        return "normalized to a unit cube, by its numbers; the unit is lost"
    parts = [f"{name}: {_name_size(largest * factor)}" for name, factor in UNITS]
    return f"not stated; {largest:.4g} units would be, in {'; in '.join(parts)}"


def _name_size(meters: float) -> str:
    return next(what for most, what in _SIZES if meters < most)
