"""Charts from metrics.jsonl; quantities without records have no chart."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

POST_TRAINING = "post-train"
Style = Literal["plain", "clean", "noised"]
MetricRows = Sequence[Mapping[str, Any]]
BASE_STAGES = {
    "base.encoder": "Encoder stand-in",
    "base.llm": "LLM pretraining",
    "base.align": "Projector alignment",
    "base.instruct": "Instruction tuning",
}
ANSWERS: dict[str, tuple[str, Style]] = {
    "logp_clean": ("right", "clean"),
    "logp_rejected_twin": ("right, twin", "clean"),
    "logp_rejected": ("wrong", "noised"),
    "logp_twin": ("wrong, twin", "noised"),
}
"""Log p of the answers to an object, and to its twin: what is wrong of one is right of the other."""


class Series(NamedTuple):
    """One line of a chart: steps and values of equal length.

    ``held_out`` marks probes; the others are training batches.
    """

    name: str
    style: Style
    held_out: bool
    steps: tuple[float, ...]
    values: tuple[float, ...]


class Chart(NamedTuple):
    """A small figure of one quantity; ``alarms`` are the steps at which the watchdog warned."""

    title: str
    unit: str
    series: tuple[Series, ...]
    alarms: tuple[float, ...] = ()


def build_post_training_charts(rows: MetricRows) -> list[Chart]:
    """Build the recorded ones of: loss and terms, margins, log p of answers, signs."""
    rows = [row for row in rows if row.get("stage") == POST_TRAINING]
    alarms = tuple(float(row["step"]) for row in rows if "warning" in row and "step" in row)
    terms = sorted({str(name) for row in rows if isinstance(row.get("terms"), Mapping) for name in row["terms"]})
    losses = [_series(rows, ("loss",), "loss", "plain", held_out=False)]
    if len(terms) > 1:
        losses += [_series(rows, ("terms", term), term, "plain", held_out=False) for term in terms]
    pair_margins = _both(rows, "pair_margin", "margin", "plain") + _both(rows, "reward_margin", "gained", "clean")
    margins = _both(rows, "margin", "margin", "plain")
    for view in _views(rows, r"(?!pair_|reward_)(\w+)_margin"):
        margins += _both(rows, f"{view}_margin", f"over the {view} view", "noised")
    likelihoods = []
    for view in _views(rows, r"logp_(?!rejected|twin)(\w+)"):
        likelihoods += _both(rows, f"logp_{view}", view, "clean" if view == "clean" else "noised")
    # Only training batches have wrong answers: right ones beside them are of the same batches.
    answers = [_series(rows, (key,), name, style, held_out=False) for key, (name, style) in ANSWERS.items()]
    contrasted = any("logp_rejected" in row for row in rows)
    charts = [
        ("Loss", "", losses),
        ("Margin", "nats per answer", margins),
        ("Margin of right over wrong answer", "nats per answer", pair_margins),
        ("Log p of the right answer", "nats per token", likelihoods),
        ("Log p of right and wrong answers", "nats per token", answers if contrasted else []),
        ("Clean preferred to noised", "share of answers", _both(rows, "sign_accuracy", "share", "plain")),
        ("Right preferred to wrong answer", "share of pairs", _both(rows, "pair_sign_accuracy", "share", "plain")),
    ]
    found = [Chart(title, unit, tuple(line for line in lines if line.steps), alarms) for title, unit, lines in charts]
    return [chart for chart in found if chart.series]


def build_base_charts(rows: MetricRows) -> list[Chart]:
    """Build a chart of the loss for each stage of the base in this run."""
    found = []
    for stage, title in BASE_STAGES.items():
        line = _series([row for row in rows if row.get("stage") == stage], ("loss",), "loss", "plain", held_out=False)
        if line.steps:
            found.append(Chart(title, "", (line,)))
    return found


def _both(rows: MetricRows, key: str, name: str, style: Style) -> list[Series]:
    """Training batches and held-out probes of one quantity."""
    return [_series(rows, (key,), name, style, held_out=held_out) for held_out in (False, True)]


def _views(rows: MetricRows, pattern: str) -> list[str]:
    """Names of views in the keys of `rows` that match `pattern`, whose group is the name."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return [found[1] for key in keys if (found := re.fullmatch(pattern, key))]


def _series(rows: MetricRows, path: tuple[str, ...], name: str, style: Style, *, held_out: bool) -> Series:
    """Collect the finite values at `path` by step; of equal steps the last counts."""
    found: dict[float, float] = {}
    for row in rows:
        value = _at(row, path)
        if bool(row.get("probe")) == held_out and value is not None and isinstance(row.get("step"), int | float):
            found[float(row["step"])] = value
    steps = sorted(found)
    return Series(name, style, held_out, tuple(steps), tuple(found[step] for step in steps))


def _at(row: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    value: Any = row
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
