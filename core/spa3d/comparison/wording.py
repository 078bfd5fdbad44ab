"""Names, legends and number formats of a comparison."""

from __future__ import annotations

from spa3d.comparison.document import BenchmarkSubset, Estimate, Spread, Table, TableRow, TestedEstimate
from spa3d.rendering.numbers import (
    NOTHING,
    format_count,
    format_duration,
    format_percent,
    format_plus_minus,
    format_points_interval,
    format_signed,
)
from spa3d.report.run_details import format_decoding

EQUAL = {"compute": "SFT of equal compute", "steps": "SFT of equal steps", "samples": "SFT of equal samples"}
TRAINING_HEADS = {
    "steps": "steps",
    "learning_rate": "learning rate",
    "seconds": "time",
    "level": "level reached",
    "margin": "margin",
    "drift": "log p drift",
    "saturation": "saturated",
    "repetition": "repeated",
    "warnings": "watchdog",
}
LEGEND = (
    "Shares in %, differences in points; all are means over seeds. The 95 % interval of a difference is paired: each "
    "question's differences are averaged over the seeds, then whole groups of records are resampled. It covers the "
    "choice of questions, not the choice of seeds; see “over seeds” for those. Could see: the smallest true difference "
    "that one comparison alone finds in 80 % of cases (two-sided, 5 %); among several, Holm's correction needs a "
    "larger one."
)
DETAILS = (
    "Level reached: noise level measured on the training clouds; whole patches overlap, so it is not exactly the "
    "level asked for. Margin: log p of held-out answers on clean minus noised clouds, nats per answer, at the end. "
    "Log p drift: held-out log p of the right answers on clean clouds, nats per token, end minus start; a negative "
    "value means that the model became worse. Saturated: share of held-out answers whose margin is so wide that the "
    "contrast has no effect. Repeated: share of three-word sequences in free answers that occurred before. Watchdog: "
    "warnings per run. Time: wall-clock time of post-training."
)
PAPER = "the paper's own figures, from another model and other data: compare the pattern, not the values"
MARKS = {1: "▲", -1: "▼", 0: ""}


def format_control(budget: str) -> str:
    """Format the name of the controls: ``SFT of equal compute``."""
    return EQUAL.get(budget, "its SFT control")


def format_subset(subset: BenchmarkSubset) -> str:
    """Format a set of questions: ``choice``, ``choice counterfactual``, ``choice flip``."""
    return subset[0] if subset[1] == "test" else " ".join(subset)


def describe_legend(table: Table, alone: str) -> str:
    """Explain columns, marks and conditions; `alone` as for `describe_marks`."""
    return " ".join((LEGEND, describe_marks(table, alone), describe_conditions(table)))


def describe_conditions(table: Table) -> str:
    """Describe seeds, resamples and decoding of all cells."""
    seeds = list(dict.fromkeys(cell.seed for row in table.rows for cell in row.cells))
    decoding = format_decoding(table.decoding)
    sentences = [f"Seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}; {table.bootstrap:,} bootstrap resamples."]
    return " ".join(sentences + ([f"Decoding: {decoding}."] if decoding else []))


def format_questions(table: Table, subset: BenchmarkSubset) -> str:
    """Format the size and the chance of a set: ``400 questions, chance 25.0 %``."""
    score = next(score for row in table.rows if (score := table.score(row, subset)))
    unit = "pair" if subset[1] == "flip" else "question"
    return f"{format_count(score.questions, unit)}, chance {format_percent(score.chance)} %"


def format_reach(estimate: Estimate) -> str:
    """Format the minimum detectable effect; empty if a difference was measured."""
    measured = estimate.side if isinstance(estimate, TestedEstimate) else not estimate.contains_zero
    return "" if estimate.mde is None or measured else f"could see {format_plus_minus(estimate.mde)}"


def describe_marks(table: Table, alone: str) -> str:
    """Explain marks and columns; `alone` marks differences that are only significant alone."""
    gap = "Blind gap: score with the cloud minus score without it, and its change by post-training."
    if not table.family.comparisons:
        return f"No row has a finished control: differences are against the base. {gap}"
    compared = format_count(table.family.comparisons, "comparison")
    return (
        f"▲ better, ▼ worse than {format_control(table.budget)}: the interval excludes 0, Holm's p over all "
        f"{compared} of the table is at most {table.family.alpha:g}, and all seeds agree in sign. {alone}: significant "
        f"alone, but not after Holm's correction, or seeds disagree. Over seeds: smallest and largest difference of a "
        f"single seed. {gap}"
    )


def format_seed_count(row: TableRow) -> str:
    """Format the number of finished seeds: ``3 seeds``, ``2 of 3 seeds``."""
    done, planned = len(row.seeds_done), len(row.cells)
    noun = "seed" if planned == 1 else "seeds"
    return f"{done} {noun}" if done == planned else f"{done} of {planned} {noun}"


def format_seed_range(spread: Spread | None) -> str:
    """Format the smallest and the largest seed; a dash if fewer than two are known."""
    if spread is None or sum(value is not None for value in spread.seeds) < 2:
        return NOTHING
    return format_points_interval(spread.ends)


def format_training_value(name: str, spread: Spread | None) -> str:
    """Format a figure of post-training with its unit; a dash if it was not recorded."""
    if spread is None:
        return NOTHING
    value = spread.mean
    if name == "seconds":
        return format_duration(value)
    if name == "level":
        return f"{value:.3f}"
    if name in ("saturation", "repetition"):
        return f"{100 * value:.1f} %"
    if name in ("margin", "drift"):
        return format_signed(value, 2 if name == "margin" else 3)
    return f"{value:g}".replace("e-0", "e-")
