"""Names and formats of the figures of a comparison."""

from __future__ import annotations

from spa3d.comparison.document import BenchmarkSubset, Spread, Table, TableRow
from spa3d.rendering.numbers import NOTHING, format_count, format_duration, format_points_interval, format_signed

EQUAL = {"compute": "SFT of equal compute", "steps": "SFT of equal steps", "samples": "SFT of equal samples"}
TRAINING_HEADS = {
    "steps": "steps",
    "learning_rate": "learning rate",
    "seconds": "time",
    "margin": "margin",
    "drift": "log p drift",
    "saturation": "saturated",
    "repetition": "repeated",
    "warnings": "watchdog",
}
LEGEND = (
    "Shares in %, differences in points: means over the seeds, each with a paired 95 % interval over questions: a "
    "question's differences are averaged over the seeds, then whole records are drawn. It says what other questions "
    "would have shown, not what other seeds would: for that, the least and the greatest of the seeds stand beside it."
)
DETAILS = (
    "Margin: log p of held-out answers on clean minus noised clouds, nats per answer, at the end. Log p drift: "
    "held-out log p of the right answers on clean clouds, nats per token, end minus start; below 0 the model became "
    "worse at them. Saturated: share of held-out contrasts that teach nothing any more. Repeated: share of three-word "
    "sequences in free answers that occurred before. Watchdog: warnings per run. Time: wall clock of post-training."
)
PAPER = "the paper's own figures, other model and data: for the form, not the values"
MARKS = {1: "▲", -1: "▼", 0: ""}


def format_control(budget: str) -> str:
    """Format the name of the controls: ``SFT of equal compute``."""
    return EQUAL.get(budget, "its SFT control")


def format_subset(subset: BenchmarkSubset) -> str:
    """Format a set of questions: ``choice``, ``choice counterfactual``, ``choice flip``."""
    return subset[0] if subset[1] == "test" else " ".join(subset)


def describe_marks(table: Table, alone: str) -> str:
    """Explain the marks and columns; `alone` marks an interval without 0 that Holm rejects."""
    gap = "Blind gap: score with the cloud minus score without, and how post-training moved it."
    if not table.family.comparisons:
        return f"No row has a finished control: differences are against the base. {gap}"
    compared = format_count(table.family.comparisons, "comparison")
    return (
        f"▲ and ▼: better and worse than {format_control(table.budget)}, the interval without 0, Holm's p at most "
        f"{table.family.alpha:g} over all {compared} of the table, every seed on "
        f"the same side; {alone}: the interval excludes 0, but Holm's p or a seed does not follow. Over seeds: least "
        f"to greatest of the seeds' own differences. {gap}"
    )


def format_seed_count(row: TableRow) -> str:
    """Format the number of finished seeds: ``3 seeds``, ``2 of 3 seeds``."""
    done, planned = len(row.seeds_done), len(row.cells)
    noun = "seed" if planned == 1 else "seeds"
    return f"{done} {noun}" if done == planned else f"{done} of {planned} {noun}"


def format_seed_range(found: Spread | None) -> str:
    """Format the least and the greatest of the seeds; a dash where there is but one."""
    if found is None or sum(value is not None for value in found.seeds) < 2:
        return NOTHING
    return format_points_interval(found.ends)


def format_training_value(name: str, found: Spread | None) -> str:
    """Format a figure of post-training with its unit; a dash where it was not recorded."""
    if found is None:
        return NOTHING
    value = found.mean
    if name == "seconds":
        return format_duration(value)
    if name in ("saturation", "repetition"):
        return f"{100 * value:.1f} %"
    if name in ("margin", "drift"):
        return format_signed(value, 2 if name == "margin" else 3)
    return f"{value:g}".replace("e-0", "e-")
