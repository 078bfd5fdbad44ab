"""Questions with options in JSON lines, for the benchmark ``choice``.

``spa3d build-questions`` writes such files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spa3d.data.keys import refuse_misspelled
from spa3d.data.preference_pairs import normalize_text
from spa3d.data.questions import LETTERS, append_options
from spa3d.errors import DataError, RecordError
from spa3d.runtime.jsonl import format_lines, read_values

TEXTS = ("id", "source", "type", "question")
"""Required keys of every line: texts that are not empty."""
KEYS = (*TEXTS, "level", "options", "answer_index", "prompt_suffix", "provenance", "blind_solvable")
_LETTERED = re.compile(r"(?:^|\s)[A-H]\) ")
_ENDING = re.compile(r"[\s.]+$")


@dataclass(frozen=True)
class OptionQuestion:
    """One question with its options.

    Attributes:
        id: unique in the file.
        source: id of the record that the question is about.
        type: category, such as ``color``.
        question: without options.
        options: two to eight texts, in the order in which they are shown.
        answer_index: place of the right option, from 0.
        level: ``object`` or ``scene``.
        prompt_suffix: sentence below the options, such as "Answer with the letter only."
        provenance: origin of the question: caption, writer, model, hash of the prompt, result of the check.
        blind_solvable: whether an LLM found the answer without the caption; None: nobody tried.

    """

    id: str
    source: str
    type: str
    question: str
    options: tuple[str, ...]
    answer_index: int
    level: str = "object"
    prompt_suffix: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    blind_solvable: bool | None = None

    @property
    def answer(self) -> str:
        """The right option."""
        return self.options[self.answer_index]

    @property
    def letter(self) -> str:
        """The letter of the right option."""
        return LETTERS[self.answer_index]


def show_question(question: str, options: Sequence[str], suffix: str = "") -> str:
    """Format a question as a model sees it: options behind it, `suffix` on a line of its own."""
    return append_options(question, options) + (f"\n{suffix}" if suffix else "")


def describe_bad_options(options: Sequence[str]) -> str:
    """Describe why texts cannot be the options of one question; empty if they can."""
    if not 2 <= len(options) <= len(LETTERS):
        return f"{len(options)} options; 2 to {len(LETTERS)} are possible"
    if any(not option.strip() for option in options):
        return "an option is empty"
    if any("\n" in option or _LETTERED.search(option) for option in options):
        return "an option holds a line break or a letter such as 'B) '"
    if len({normalize_option(option) for option in options}) < len(options):
        return "two options are the same"
    return ""


def normalize_option(option: str) -> str:
    """Fold case, spaces and a final dot, to compare options."""
    return _ENDING.sub("", normalize_text(option))


def format_option_questions(questions: Sequence[OptionQuestion]) -> str:
    """Format questions as JSON lines."""
    return format_lines(asdict(question) for question in questions)


def read_option_questions(path: Path) -> list[OptionQuestion]:
    """Read the questions in `path`, in their order.

    Raises:
        DataError: the file is unreadable or empty, or lines are no questions; the message names file and lines.

    """
    questions, errors, ids = [], list[str](), set[str]()
    for line, value in read_values(path):
        try:
            question = _parse(value)
            if question.id in ids:
                raise DataError(f"the id {question.id!r} is there twice")
        except DataError as error:
            errors.append(f"{line.where}: {error}")
            continue
        ids.add(question.id)
        questions.append(question)
    if errors:
        raise RecordError(errors, f"lines that are no questions: {len(errors)}; mend or delete them")
    if not questions:
        raise DataError(f"{path}: no questions in it; make some with `spa3d build-questions FILE`")
    return questions


def _parse(value: Any) -> OptionQuestion:
    if not isinstance(value, dict):
        raise DataError(f"a line must be an object with {', '.join(TEXTS)}, options and answer_index")
    refuse_misspelled(value, KEYS, "a question")
    missing = [key for key in (*TEXTS, "options", "answer_index") if key not in value]
    if missing:
        raise DataError(f"{' and '.join(missing)} missing")
    wrong = [key for key in TEXTS if not isinstance(value[key], str) or not value[key].strip()]
    wrong += [key for key in ("level", "prompt_suffix") if not isinstance(value.get(key, ""), str)]
    if wrong:
        raise DataError(f"{' and '.join(wrong)} must be a text")
    options, index, blind = value["options"], value["answer_index"], value.get("blind_solvable")
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise DataError("options must be a list of texts")
    problem = describe_bad_options(options)
    if not problem and (not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(options)):
        problem = f"answer_index {index!r} is none of its {len(options)} options (the first is 0)"
    if not problem and not (blind is None or isinstance(blind, bool)):
        problem = "blind_solvable must be true, false or null"
    if not problem and not isinstance(value.get("provenance", {}), dict):
        problem = "provenance must be an object"
    if problem:
        raise DataError(problem)
    return OptionQuestion(**{key: value[key] for key in KEYS if key in value} | {"options": tuple(options)})
