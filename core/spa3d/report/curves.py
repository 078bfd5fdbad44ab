"""Charts from metrics.jsonl; quantities without rows have no chart."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

POST_TRAINING = "post-train"
Style = Literal["plain", "clean", "noised"]
MetricRows = Sequence[Mapping[str, Any]]
BASE_STAGES = {
    "base.encoder": "Encoder pretraining",
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
"""Log p of the answers to an object and to its twin: the wrong answer to one is right for the other."""


class Series(NamedTuple):
    """Line of a chart: steps and values of equal length.

    ``held_out`` is true for probes and false for training batches.
    """

    name: str
    style: str
    held_out: bool
    steps: tuple[float, ...]
    values: tuple[float, ...]


class Chart(NamedTuple):
    """Small figure of one quantity; ``alarms`` are the steps with a warning of the watchdog."""

    title: str
    unit: str
    series: tuple[Series, ...]
    alarms: tuple[float, ...] = ()


def build_post_training_charts(rows: MetricRows) -> list[Chart]:
    """Build charts of the logged quantities: loss and terms, margins, log p of answers, signs."""
    rows = [row for row in rows if row.get("stage") == POST_TRAINING]
    alarms = tuple(float(row["step"]) for row in rows if "warning" in row and "step" in row)
    terms = sorted({str(name) for row in rows if isinstance(row.get("terms"), Mapping) for name in row["terms"]})
    losses = [_series(rows, ("loss",), "loss", "plain", held_out=False)]
    if len(terms) > 1:
        losses += [_series(rows, ("terms", term), term, "plain", held_out=False) for term in terms]
    pair_margins = _build_both(rows, "pair_margin", "margin", "plain") + _build_both(
        rows, "reward_margin", "gained", "clean"
    )
    margins = _build_both(rows, "margin", "margin", "plain")
    for view in _views(rows, r"(?!pair_|reward_)(\w+)_margin"):
        margins += _build_both(rows, f"{view}_margin", f"over the {view} view", "noised")
    likelihoods = []
    for view in _views(rows, r"logp_(?!rejected|twin)(\w+)"):
        likelihoods += _build_both(rows, f"logp_{view}", view, "clean" if view == "clean" else "noised")
    # Only training batches have wrong answers, so the right answers beside them come from training batches too.
    answers = [_series(rows, (key,), name, style, held_out=False) for key, (name, style) in ANSWERS.items()]
    has_wrong_answers = any("logp_rejected" in row for row in rows)
    charts = [
        ("Loss", "", losses),
        ("Margin", "nats per answer", margins),
        ("Margin of right over wrong answer", "nats per answer", pair_margins),
        ("Log p of the right answer", "nats per token", likelihoods),
        ("Log p of right and wrong answers", "nats per token", answers if has_wrong_answers else []),
        ("Clean preferred to noised", "share of answers", _build_both(rows, "sign_accuracy", "share", "plain")),
        (
            "Right preferred to wrong answer",
            "share of pairs",
            _build_both(rows, "pair_sign_accuracy", "share", "plain"),
        ),
    ]
    drawn = [Chart(title, unit, tuple(line for line in lines if line.steps), alarms) for title, unit, lines in charts]
    return [chart for chart in drawn if chart.series]


def build_base_charts(rows: MetricRows) -> list[Chart]:
    """Build a loss chart for each stage of the base in this run."""
    charts = []
    for stage, title in BASE_STAGES.items():
        line = _series([row for row in rows if row.get("stage") == stage], ("loss",), "loss", "plain", held_out=False)
        if line.steps:
            charts.append(Chart(title, "", (line,)))
    return charts


def _build_both(rows: MetricRows, key: str, name: str, style: Style) -> list[Series]:
    """Build the lines of one quantity: training batches and held-out probes."""
    return [_series(rows, (key,), name, style, held_out=held_out) for held_out in (False, True)]


def _views(rows: MetricRows, pattern: str) -> list[str]:
    """List the views in the keys of `rows`; the group of `pattern` is the name of the view."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return [match[1] for key in keys if (match := re.fullmatch(pattern, key))]


def _series(rows: MetricRows, path: tuple[str, ...], name: str, style: Style, *, held_out: bool) -> Series:
    """Collect the finite values at `path` by step; of repeated steps the last row counts."""
    by_step: dict[float, float] = {}
    for row in rows:
        value = _read_number(row, path)
        if bool(row.get("probe")) == held_out and value is not None and isinstance(row.get("step"), int | float):
            by_step[float(row["step"])] = value
    steps = sorted(by_step)
    return Series(name, style, held_out, tuple(steps), tuple(by_step[step] for step in steps))


def _read_number(row: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    value: Any = row
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
