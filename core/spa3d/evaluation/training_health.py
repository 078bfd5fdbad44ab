"""Course of post-training: likelihood, margin, saturation, and repetition in free answers.

Sources: the held-out probes in metrics.jsonl, and the free answers among the predictions of a run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]
PROBED = ("logp_clean", "margin", "saturation")
DIGITS = 6


def measure_health(metrics: Rows, before: Rows, after: Rows) -> dict[str, Any]:
    """Compute the figures of ``training.health`` in report.json; keys as in docs/report.md.

    Args:
        metrics: the rows of metrics.jsonl.
        before: prediction rows before post-training, of all benchmarks.
        after: prediction rows after post-training.

    """
    health: dict[str, Any] = {}
    first, last = probe_ends(metrics) or ({}, {})
    for name in PROBED:
        ends = [row.get(name) for row in (first, last)]
        if all(isinstance(end, int | float) and math.isfinite(end) for end in ends):
            health[name] = {"first": round(float(first[name]), DIGITS), "last": round(float(last[name]), DIGITS)}
    shares = [repetition(rows) for rows in (before, after)]
    if None not in shares:
        health["repetition"] = dict(zip(("first", "last"), shares, strict=True))
    for key in ("stopped", "kept"):
        values = [row[key] for row in metrics if key in row]
        if values:
            health[key] = values[-1]
    return health


def probe_ends(metrics: Rows) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Select the held-out probes before the first step and of the final weights.

    The final weights are those of the last step, or of the step that ``--train.keep best`` restored. None with fewer
    than two probes.
    """
    probes = [row for row in metrics if row.get("probe") and row.get("stage") == "post-train"]
    kept = [row["kept"] for row in metrics if "kept" in row][-1:]
    final = [row for row in probes if row.get("step") in kept] or probes
    return (probes[0], final[-1]) if len(probes) > 1 else None


def missing_steps(metrics: Rows, *, steps: int, log_every: int, probe_every: int) -> int:
    """Number of steps of post-training whose loss or held-out probe is not among `metrics`.

    Args:
        metrics: the rows of metrics.jsonl.
        steps: the optimizer steps that were taken.
        log_every: steps between two losses.
        probe_every: steps between two probes; 0: there is no held-out slice.

    """
    rows = [row for row in metrics if row.get("stage") == "post-train"]
    losses = {row.get("step") for row in rows if "loss" in row}
    probes = {row.get("step") for row in rows if row.get("probe")}
    expected = {*range(log_every, steps + 1, log_every)} - losses
    expected_probes = {*range(0, steps + 1, probe_every), steps} - probes if probe_every else set()
    return len(expected | expected_probes)


def repetition(rows: Rows) -> float | None:
    """Mean share of repeated three-word sequences in a free answer; None without free answers."""
    shares = [
        _repeated_share(str(row["text"]).split()) for row in rows if row["options"] is None and row["view"] == "clean"
    ]
    return round(sum(shares) / len(shares), DIGITS) if shares else None


def _repeated_share(words: Sequence[str]) -> float:
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(trigrams)) / len(trigrams) if trigrams else 0.0
