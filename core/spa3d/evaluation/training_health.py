"""Course of post-training: likelihood, margin, saturation, and repetition in free answers.

Sources: the held-out probes in metrics.jsonl, and the free answers among the predictions of a run.
"""

from __future__ import annotations

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
        if first.get(name) is not None and last.get(name) is not None:
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


def repetition(rows: Rows) -> float | None:
    """Mean share of repeated three-word sequences in a free answer; None without free answers."""
    shares = [
        _repeated_share(str(row["text"]).split()) for row in rows if row["options"] is None and row["view"] == "clean"
    ]
    return round(sum(shares) / len(shares), DIGITS) if shares else None


def _repeated_share(words: Sequence[str]) -> float:
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(trigrams)) / len(trigrams) if trigrams else 0.0
