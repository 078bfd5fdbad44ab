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
    found: dict[str, Any] = {}
    first, last = probe_ends(metrics) or ({}, {})
    for name in PROBED:
        if first.get(name) is not None and last.get(name) is not None:
            found[name] = {"first": round(float(first[name]), DIGITS), "last": round(float(last[name]), DIGITS)}
    shares = [repetition(rows) for rows in (before, after)]
    if None not in shares:
        found["repetition"] = dict(zip(("first", "last"), shares, strict=True))
    for key in ("stopped", "kept"):
        told = [row[key] for row in metrics if key in row]
        if told:
            found[key] = told[-1]
    return found


def probe_ends(metrics: Rows) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """The held-out probes before the first step and of the weights that came out; None with fewer than two probes.

    What came out is the last, or the step that ``--train.keep best`` went back to.
    """
    probes = [row for row in metrics if row.get("probe") and row.get("stage") == "post-train"]
    kept = [row["kept"] for row in metrics if "kept" in row][-1:]
    out = [row for row in probes if row.get("step") in kept] or probes
    return (probes[0], out[-1]) if len(probes) > 1 else None


def repetition(rows: Rows) -> float | None:
    """Mean share of three-word sequences in a free answer that occurred in it before; None without a free answer."""
    shares = [_repeated(str(row["text"]).split()) for row in rows if row["options"] is None and row["view"] == "clean"]
    return round(sum(shares) / len(shares), DIGITS) if shares else None


def _repeated(words: Sequence[str]) -> float:
    threes = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(threes)) / len(threes) if threes else 0.0
