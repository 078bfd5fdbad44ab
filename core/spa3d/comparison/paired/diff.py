"""Comparison of two models on the same questions, from their saved answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spa3d.comparison.paired.answers import AnswerSet, Phase, read_answers
from spa3d.comparison.paired.document import BenchmarkDifference, ModelDifference, Side
from spa3d.comparison.paired.figures import compare_rows
from spa3d.comparison.paired.matching import describe_conditions, list_setting_changes, match_rows
from spa3d.comparison.paired.wording import describe_left_out, judge_difference
from spa3d.comparison.scores import round_figure
from spa3d.errors import DataError
from spa3d.metrics.intervals import correct_holm

UNCORRECTED = "unseen"
"""Set that is part of another one, so that Holm's correction leaves it out."""


@dataclass(frozen=True)
class DiffSettings:
    """Settings of a comparison of two models.

    Attributes:
        on_changed: questions that differ under the same id: ``stop`` refuses them, ``skip`` leaves them out.
        bootstrap: resamples behind each interval.
        seed: seed of the resampling.
        examples: most flipped questions of a benchmark that are listed with texts.

    """

    on_changed: Literal["stop", "skip"] = "stop"
    bootstrap: int = 2000
    seed: int = 0
    examples: int = 5


def diff(
    first: Path | str,
    second: Path | str,
    *,
    phases: tuple[Phase, Phase] = ("after", "after"),
    settings: DiffSettings | None = None,
) -> ModelDifference:
    """Compare two models that answered the same questions, paired by question.

    Args:
        first: folder of a run or of an evaluation, or its report.json; its ``predictions/`` hold the answers.
        second: the other one; differences are second minus first.
        phases: of a run, whether the model after post-training answers, or the one before, for each side.
        settings: of the comparison.

    Raises:
        DataError: there are no answers, both are the same, no benchmark is in both, or the same id has another
            prompt, options, reference or record.

    """
    settings = settings or DiffSettings()
    old, new = read_answers(first, phases[0]), read_answers(second, phases[1])
    if (old.path.resolve(), old.phase) == (new.path.resolve(), new.phase):
        raise DataError(f"{old.label}: both are the same answers; name two runs, or two phases of one")
    common = [name for name in old.rows if name in new.rows]
    if not common:
        raise DataError(
            f"no benchmark is in both: {old.label} has {', '.join(old.rows)}; {new.label} has {', '.join(new.rows)}"
        )
    blocks = _correct({name: _compare_benchmark(name, old, new, settings) for name in common})
    document = ModelDifference(
        first=_describe_side(old),
        second=_describe_side(new),
        bootstrap=settings.bootstrap,
        seed=settings.seed,
        notes=tuple(describe_conditions(old, new)),
        settings=tuple(list_setting_changes(old, new)),
        benchmarks=blocks,
        left_out=tuple(_list_left_out(old, new, blocks)),
    )
    return document.model_copy(update={"verdict": judge_difference(document)})


def _compare_benchmark(name: str, old: AnswerSet, new: AnswerSet, settings: DiffSettings) -> BenchmarkDifference:
    matched = match_rows(name, old, new, skip_changed=settings.on_changed == "skip")
    try:
        return compare_rows(matched, bootstrap=settings.bootstrap, seed=settings.seed, examples=settings.examples)
    except ValueError as error:
        raise DataError(f"{name}: the answers cannot be paired: {error}") from error


def _correct(blocks: Mapping[str, BenchmarkDifference]) -> dict[str, BenchmarkDifference]:
    """Set ``p_holm``, corrected over all sets of all benchmarks."""
    places = [(name, subset) for name, block in blocks.items() for subset in block.sets if subset != UNCORRECTED]
    adjusted = correct_holm([blocks[name].sets[subset].difference.p for name, subset in places])
    corrected = {name: dict(block.sets) for name, block in blocks.items()}
    for (name, subset), p in zip(places, adjusted, strict=True):
        result = corrected[name][subset]
        difference = result.difference.model_copy(update={"p_holm": round_figure(p)})
        corrected[name][subset] = result.model_copy(update={"difference": difference})
    return {name: block.model_copy(update={"sets": corrected[name]}) for name, block in blocks.items()}


def _describe_side(answers: AnswerSet) -> Side:
    return Side(path=str(answers.path), phase=answers.phase, decoding=dict(answers.decoding), seeds=dict(answers.seeds))


def _list_left_out(old: AnswerSet, new: AnswerSet, blocks: Mapping[str, BenchmarkDifference]) -> list[str]:
    """List benchmarks and questions that only one of the two has."""
    lines = [
        f"{name}: only in {side.label}, left out"
        for side, other in ((old, new), (new, old))
        for name in side.rows
        if name not in other.rows
    ]
    return lines + [text for name, block in blocks.items() if (text := describe_left_out(name, block))]
