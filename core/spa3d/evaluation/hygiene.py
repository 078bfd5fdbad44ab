"""Hygiene of questions with options: of the set itself, and of the answers of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from spa3d.artifacts.predictions import PredictionRow
from spa3d.data.option_questions import OptionQuestion
from spa3d.data.questions import split_options, split_rotation
from spa3d.evaluation.rounding import round_figure
from spa3d.evaluation.scored_units import BLIND, select_shown
from spa3d.metrics.circular import score_groups
from spa3d.metrics.option_hygiene import OptionHygiene, ShownQuestion, letter_shares, measure_options
from spa3d.metrics.option_letters import extract_letter
from spa3d.metrics.reasoning import strip_thoughts

ALL = "all"
"""Name of the whole set among the categories."""


def measure_questions(questions: Sequence[OptionQuestion]) -> dict[str, OptionHygiene]:
    """Measure each category of a file of questions; the whole set if there are several.

    The key of the whole set is `ALL`.
    """
    kinds = list(dict.fromkeys(each.type for each in questions))
    shown = {kind: [_show(each) for each in questions if each.type == kind] for kind in kinds}
    if len(kinds) > 1:
        shown[ALL] = [_show(each) for each in questions]
    return {kind: measure_options(some) for kind, some in shown.items()}


def summarize_hygiene(rows: Sequence[PredictionRow]) -> dict[str, Any] | None:
    """Summarize the hygiene of one set; None if a question shows no options.

    Keys are as in docs/report.md. Rotations of a question count as one question, except for picks and invalid answers.
    """
    shown_rows = select_shown(rows)
    options = {row["id"]: split_options(row["prompt"])[1] for row in shown_rows}
    first = [row for row in shown_rows if not split_rotation(row["id"])[1]]
    questions = [question for row in first if (question := _read_question(row, options[row["id"]]))]
    if not first or len(questions) < len(first):
        return None
    hygiene, blind = measure_options(questions), _select(rows, BLIND)
    picks = [_find_pick(row, options[row["id"]]) for row in shown_rows]
    most = max(len(each.options) for each in questions)
    result: dict[str, Any] = {
        "questions": hygiene.questions,
        "chance": round_figure(hygiene.chance),
        "letters_right": {letter: round_figure(share) for letter, share in hygiene.letters.items()},
        "letters_picked": {
            name: round_figure(share) for name, share in letter_shares(filter(None, picks), most).items()
        },
        "invalid": round_figure(sum(not row["valid"] for row in shown_rows) / len(shown_rows)),
        "longest_option": round_figure(hygiene.longest),
        "most_frequent_option": round_figure(hygiene.most_frequent),
        "duplicates": hygiene.duplicates,
        "repeated": hygiene.repeated,
    }
    if blind:
        result["solvable_blind"] = round_figure(sum(row["value"] == 1 for row in blind) / len(blind))
    for name, some in (("consistent", shown_rows), ("consistent_blind", blind)):
        if len(some) > len(first):
            whole = _select_whole(some, options)
            groups = score_groups((split_rotation(row["id"])[0] for row in whole), (row["value"] == 1 for row in whole))
            result[name] = round_figure(sum(groups.values()) / len(groups)) if groups else None
    return result


def _show(question: OptionQuestion) -> ShownQuestion:
    return ShownQuestion(question.source, question.type, question.question, question.options, question.answer_index)


def _select(rows: Sequence[PredictionRow], view: str) -> list[PredictionRow]:
    return [row for row in rows if row["view"] == view]


def _select_whole(rows: Sequence[PredictionRow], options: Mapping[str, Mapping[str, str]]) -> list[PredictionRow]:
    """Select the rows of questions of which every rotation was asked."""
    passes = Counter(split_rotation(row["id"])[0] for row in rows)
    return [row for row in rows if passes[split_rotation(row["id"])[0]] == len(options[row["id"]])]


def _read_question(row: PredictionRow, options: Mapping[str, str]) -> ShownQuestion | None:
    """Read the shown question of a row, whose answer is a shown text or its letter."""
    texts, answer = list(options.values()), row["answer"]
    if answer in texts:
        index = texts.index(answer)
    elif answer in options:
        index = ascii_uppercase.index(answer)
    else:
        return None
    return ShownQuestion(row["record"], row["kind"], split_options(row["prompt"])[0], tuple(texts), index)


def _find_pick(row: PredictionRow, options: Mapping[str, str]) -> str | None:
    """Letter of the option that an answer picks; None for an invalid answer."""
    text = row["text"]
    if not row["valid"]:
        return None
    exact = [letter for letter, option in options.items() if text in (option, letter)]
    return exact[0] if exact else extract_letter(strip_thoughts(text) or "", options)
