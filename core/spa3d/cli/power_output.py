"""Terminal output of a dry run: what the comparison could see, and what an effect needs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from spa3d.cli.console import escape_text, output, print_sentence
from spa3d.comparison.power import PlannedPower
from spa3d.comparison.wording import format_subset
from spa3d.metrics.sample_size import ANSWER_CORRELATION, CLUSTER_CORRELATION
from spa3d.rendering.numbers import format_count, format_percent, format_plus_minus

MORE_SEEDS = (1, 3, 5)
"""Numbers of seeds for which needed questions are listed, beside the planned one."""
ASSUMED = (
    "No pilot: the worst case is assumed. Both models answer half of the questions right, their answers correlate by "
    f"{ANSWER_CORRELATION:g}, the differences of a group of look-alikes by {CLUSTER_CORRELATION:g}, and more seeds do "
    "not help. Post-training usually changes fewer answers; --pilot RUN measures how many."
)


def show_power(powers: Sequence[PlannedPower], effect: float | None) -> None:
    """Print a line per set of questions; `effect` is the wanted difference as a share, or None."""
    if not powers:
        return
    first = powers[0]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("set")
    for head in ("questions", "groups", "could see", f"among {first.comparisons}"):
        table.add_column(head, justify="right")
    counts = _choose_seeds(powers) if effect else []
    for seeds in counts:
        table.add_column(escape_text(f"needs, {format_count(seeds, 'seed')}"), justify="right")
    if effect:
        table.add_column(escape_text("or seeds"), justify="right")
    for power in powers:
        words = [format_subset(power.subset), f"{power.questions:,}", f"{power.groups:,}"]
        words += [format_plus_minus(power.sees), format_plus_minus(power.sees_corrected)]
        words += _format_needs(power, effect, counts) if effect else []
        table.add_row(*map(escape_text, words))
    console = output()
    console.print()
    console.print(table)
    for sentence in _explain(powers, effect):
        print_sentence(console, escape_text(sentence, "dim"))


def _choose_seeds(powers: Sequence[PlannedPower]) -> list[int]:
    """Choose numbers of seeds to list: the planned one, and others if more seeds help."""
    others = MORE_SEEDS if any(power.variance.correlation < 1 for power in powers) else ()
    return sorted({*others, powers[0].seeds})


def _format_needs(power: PlannedPower, effect: float, counts: Sequence[int]) -> list[str]:
    """Format the needed questions for each number of seeds, and the needed seeds."""
    seeds = power.seeds_needed(effect)
    needed = [power.variance.questions_needed(effect, count) for count in counts]
    return [*(f"{questions:,}" for questions in needed), "none is enough" if seeds is None else f"{seeds:,}"]


def _explain(powers: Sequence[PlannedPower], effect: float | None) -> list[str]:
    """Explain the columns and the basis of the variances."""
    first = powers[0]
    seen = (
        f"could see: the smallest true difference in points, of a row from its control, that is found in 80 % of cases "
        f"with {format_count(first.seeds, 'seed')} (two-sided, 5 %): one comparison alone, and among the "
        f"{first.comparisons} of the table (Holm)."
    )
    needs = (
        f"needs: questions per cell to see {format_percent(effect or 0)} points, one comparison alone; or seeds: with "
        "the planned questions. How much a mean varies between seeds is not in it."
    )
    sentences = [seen, needs] if effect else [seen]
    bases = dict.fromkeys(power.basis for power in powers)
    for basis in bases:
        names = ", ".join(format_subset(power.subset) for power in powers if power.basis == basis)
        if basis:
            design = max(power.variance.design for power in powers if power.basis == basis)
            sentences.append(f"{names}: variance of {basis}; design effect of the groups up to {design:.1f}.")
        else:
            sentences.append(f"{names}: {ASSUMED[0].lower() + ASSUMED[1:]}" if len(bases) > 1 else ASSUMED)
    return sentences
