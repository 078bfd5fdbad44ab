"""How post-training went, beside what it scored: likelihood, margin, saturation, and whether answers repeat themselves.

Everything is read from what a run leaves on disk: the held-out probes in metrics.jsonl, and the free answers among
its predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]
PROBED = ("logp_clean", "margin", "saturation")
DIGITS = 6


def measure_health(metrics: Rows, before: Rows, after: Rows) -> dict[str, Any]:
    """The figures of ``training.health`` in report.json; keys as in docs/report.md.

    Args:
        metrics: the rows of metrics.jsonl.
        before: prediction rows before post-training, of all benchmarks.
        after: those after it.

    """
    probes = [row for row in metrics if row.get("probe") and row.get("stage") == "post-train"]
    found: dict[str, Any] = {}
    for name in PROBED:
        values = [float(row[name]) for row in probes if row.get(name) is not None]
        if len(values) > 1:
            found[name] = {"first": round(values[0], DIGITS), "last": round(values[-1], DIGITS)}
    shares = [repetition(rows) for rows in (before, after)]
    if None not in shares:
        found["repetition"] = dict(zip(("first", "last"), shares, strict=True))
    for key in ("stopped", "kept"):
        told = [row[key] for row in metrics if key in row]
        if told:
            found[key] = told[-1]
    return found


def repetition(rows: Rows) -> float | None:
    """Mean share of three-word sequences in a free answer that occurred in it before; None without a free answer."""
    shares = [_repeated(str(row["text"]).split()) for row in rows if row["options"] is None and row["view"] == "clean"]
    return round(sum(shares) / len(shares), DIGITS) if shares else None


def _repeated(words: Sequence[str]) -> float:
    threes = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(threes)) / len(threes) if threes else 0.0
