"""Matching of two models' questions: the same ids must be the same questions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spa3d.artifacts.diff import differences
from spa3d.artifacts.predictions import PredictionRow
from spa3d.comparison.paired.answers import AnswerSet
from spa3d.errors import DataError

Key = tuple[str, str]
"""Set and id of a question."""
QUESTION = {"prompt": "prompt", "options": "options", "answer": "reference answer", "record": "record"}
"""Keys of a row that make the question, in words."""
EXCERPT = 80


@dataclass(frozen=True)
class MatchedRows:
    """Rows of one benchmark that both models have.

    Attributes:
        first: rows of the first model, every view.
        second: rows of the second model about the same questions.
        only_first: number of questions that only the first model answered.
        only_second: number of questions that only the second model answered.
        changed: number of questions that are left out because another question has the same id.

    """

    first: list[PredictionRow]
    second: list[PredictionRow]
    only_first: int
    only_second: int
    changed: int


def match_rows(name: str, first: AnswerSet, second: AnswerSet, *, skip_changed: bool) -> MatchedRows:
    """Match the rows of benchmark `name` by set and id.

    Args:
        name: the benchmark.
        first: answers of the first model.
        second: answers of the second model.
        skip_changed: whether questions of the same id that differ are left out instead of refused.

    Raises:
        DataError: prompt, options, reference or record differ under the same id, or no question is in both.

    """
    old, new = (_index_questions(answers.rows[name]) for answers in (first, second))
    common = old.keys() & new.keys()
    if not common:
        raise DataError(
            f"{name}: no question is in both: {first.label} has {len(old):,} (such as {_show_id(old)}), {second.label} "
            f"has {len(new):,} (such as {_show_id(new)}); both must be asked on the same data, split and seed"
        )
    changed = {key: wrong for key in sorted(common) if (wrong := _list_changes(old[key], new[key]))}
    if changed and not skip_changed:
        raise DataError(_describe_changed(name, changed, old, new, len(common)))
    kept = _keep_whole_pairs(common - changed.keys(), old)
    if not kept:
        raise DataError(f"{name}: all {len(common):,} questions differ under the same ids; there is nothing to compare")
    old_rows, new_rows = (
        [row for row in answers.rows[name] if (row["set"], row["id"]) in kept] for answers in (first, second)
    )
    return MatchedRows(
        old_rows,
        new_rows,
        only_first=len(old.keys() - common),
        only_second=len(new.keys() - common),
        changed=len(common) - len(kept),
    )


def describe_conditions(first: AnswerSet, second: AnswerSet) -> list[str]:
    """Describe the differences of data, decoding and number of samples, in notes."""
    missing = [str(answers.path) for answers in (first, second) if not answers.report]
    if missing:
        return [f"{' and '.join(missing)}: no report.json, so data, decoding and settings are not compared"]
    notes = []
    if first.data != second.data:
        notes.append(
            "the data differ (other settings or files of the dataset, or another version of the code that reads them); "
            "prompts, options and references are the same, the clouds may not be"
        )
    if first.decoding and second.decoding and first.decoding != second.decoding:
        notes.append(f"the decoding differs, first → second: {'; '.join(differences(first.decoding, second.decoding))}")
    if first.is_evaluation != second.is_evaluation:
        notes.append("one is a run and the other an evaluation, so their settings are not compared one by one")
    for side in (first, second):
        if not side.decoding:
            notes.append(f"{side.label}: its report does not say how answers were decoded")
        if not side.saw_clouds:
            notes.append(f"{side.label}: was never shown a cloud, so its score is its blind score")
        several = [f"{name} {count}" for name, count in side.samples.items() if count > 1]
        if several:
            notes.append(f"{side.label}: several answers to a question ({', '.join(several)}); their mean value counts")
    return notes


def list_setting_changes(first: AnswerSet, second: AnswerSet) -> list[str]:
    """List the different settings of two runs or evaluations: ``key: first → second``."""
    if first.is_evaluation != second.is_evaluation or not (first.report and second.report):
        return []
    return differences(first.settings, second.settings)


def _index_questions(rows: Sequence[PredictionRow]) -> dict[Key, PredictionRow]:
    return {(row["set"], row["id"]): row for row in rows}


def _show_id(questions: Mapping[Key, Any]) -> str:
    return repr(min(questions)[1])[:EXCERPT]


def _list_changes(old: PredictionRow, new: PredictionRow) -> list[str]:
    return [key for key in QUESTION if old.get(key) != new.get(key)]


def _describe_changed(
    name: str,
    changed: Mapping[Key, Sequence[str]],
    old: Mapping[Key, PredictionRow],
    new: Mapping[Key, PredictionRow],
    total: int,
) -> str:
    """Describe how many questions differ under the same id, with the first one."""
    key, (what, *_) = next(iter(changed.items()))
    shown = [repr(questions[key].get(what))[:EXCERPT] for questions in (old, new)]
    return (
        f"{name}: {len(changed):,} of {total:,} questions differ under the same id; the first is {key[1]!r}, with the "
        f"{QUESTION[what]} {shown[0]} in one and {shown[1]} in the other. Ask both models the same questions, or leave "
        "these out with --on-changed skip."
    )


def _keep_whole_pairs(keys: Collection[Key], rows: Mapping[Key, PredictionRow]) -> set[Key]:
    """Leave out minimal pairs of which only one question is left."""
    sizes: dict[str, int] = {}
    for key in keys:
        if key[0] == "flip":
            pair = str(rows[key].get("pair"))
            sizes[pair] = sizes.get(pair, 0) + 1
    return {key for key in keys if key[0] != "flip" or sizes[str(rows[key].get("pair"))] == 2}
