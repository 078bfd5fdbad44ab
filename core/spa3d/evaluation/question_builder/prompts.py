"""Prompts for an LLM that writes or answers questions with options, and its replies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from spa3d.data.option_questions import describe_bad_options, normalize_option, show_question
from spa3d.data.question_sources import AnsweredQuestion
from spa3d.data.questions import LETTERS
from spa3d.evaluation.question_builder.contract import CATEGORIES, WRONG, Draft, DraftRequest
from spa3d.metrics.option_letters import extract_letter
from spa3d.metrics.reasoning import strip_thoughts

LONGEST = 300
"""Characters of a question or an option."""
NOTHING = "the writer says that the caption tells nothing of the category"
_WRITE = """\
Below is a description of a 3D {level}. Write one multiple-choice question about {topic}.
- Ask only for what the description states, so that a reader of the description alone can answer.
- Do not give the answer away in the question, and do not mention the description.
- Give four different options of similar length and style. Exactly one is right; the description must make the other \
three wrong.
- If the description says nothing about {topic}, reply {{"question": null}}.
Reply with JSON only: {{"question": "...", "options": ["...", "...", "...", "..."], "answer": "the right option, word \
for word"}}

Description: {caption}"""
_OPTIONS = """\
Below are a question about a 3D {level} and its true answer. Write three wrong answers that are plausible, of the same \
length and style, and clearly different from the true answer and from each other.
Reply with JSON only: {{"wrong": ["...", "...", "..."]}}

Question: {question}
True answer: {answer}"""
_CHECK = """\
Answer the question from the description alone. If the description does not tell the answer, reply "none".
Reply with the letter of the right option only.

Description: {caption}

Question: {question}"""
_BLIND = """\
Answer the question about a 3D {level} that you cannot see. Reply with the letter of the most likely option only.

Question: {question}"""
_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")
_LETTER = re.compile(r"^\(?[A-D][).:]\s+")
_MARKUP = re.compile(r"<!doctype|<html|<head|<body", re.IGNORECASE)


def ask_for_question(request: DraftRequest) -> str:
    """Prompt for a draft: a whole question, or wrong options for a known one."""
    category = CATEGORIES[request.category]
    if request.known:
        return _OPTIONS.format(level=category.level, question=request.known.question, answer=request.known.answers[0])
    return _WRITE.format(level=category.level, topic=category.topic, caption=request.caption)


def ask_for_answer(caption: str, draft: Draft, options: Sequence[str], level: str) -> str:
    """Prompt of the check: a letter from the caption; without a caption, a guess."""
    question = show_question(draft.question, options)
    return (_CHECK if caption else _BLIND).format(caption=caption, question=question, level=level)


def parse_draft(request: DraftRequest, reply: str, made: dict[str, str]) -> Draft | str:
    """Parse a reply to `ask_for_question`; returns the draft, or why the reply is no use."""
    value = _parse_json(reply)
    if isinstance(value, str):
        return value
    parsed = _read_known(request.known, value) if request.known else _read_question(value)
    if isinstance(parsed, str):
        return parsed
    question, options = parsed
    problem = describe_bad_options(options) or _describe_bad_text(_clean(question), options)
    if problem:
        return problem
    return Draft(_clean(question), options[0], tuple(options[1:]), "qa" if request.known else "caption", made=made)


def _read_known(known: AnsweredQuestion, value: Mapping[str, Any]) -> tuple[str, list[str]] | str:
    """Read the wrong options of a known question; returns question and options, or a reason."""
    wrong = _read_texts(value.get("wrong"))
    if wrong is None or len(wrong) != WRONG:
        return f"its 'wrong' is no list of {WRONG} texts"
    return known.question, [known.answers[0], *wrong]


def _read_question(value: Mapping[str, Any]) -> tuple[str, list[str]] | str:
    """Read a question with its options; returns both, the right option first, or a reason."""
    question, options = value.get("question"), _read_texts(value.get("options"))
    if "question" in value and question is None:
        return NOTHING
    if not isinstance(question, str) or not question.strip():
        return "it has no question"
    if options is None or len(options) != WRONG + 1:
        return f"its options are no list of {WRONG + 1} texts"
    answer = _find_answer(value.get("answer"), options)
    if answer is None:
        return "its answer is none of its options"
    index = options.index(answer)
    return question, [answer, *options[:index], *options[index + 1 :]]


def parse_pick(reply: str, options: Sequence[str]) -> str | None:
    """Parse the letter that a reply to `ask_for_answer` picks; None if it picks none."""
    text = strip_thoughts(reply)
    return extract_letter(text, dict(zip(LETTERS, options, strict=False))) if text else None


def _parse_json(reply: str) -> dict[str, Any] | str:
    """Parse the JSON object in a reply, or say why there is none."""
    text = strip_thoughts(reply)
    if text is None or not text.strip():
        return "the reply is empty"
    if _MARKUP.search(text):
        return "the reply is a web page"
    text = _FENCE.sub("", text.strip())
    start = text.find("{")
    if start < 0:
        return "the reply holds no JSON object"
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return "the reply is broken JSON"
    return value if isinstance(value, dict) else "the reply holds no JSON object"


def _find_answer(answer: Any, options: Sequence[str]) -> str | None:
    """Find the option that an answer repeats or names by its letter."""
    if not isinstance(answer, str):
        return None
    text = _clean(answer)
    match = [option for option in options if normalize_option(option) == normalize_option(text)]
    if match:
        return match[0]
    index = LETTERS.find(text.strip("(). ").upper()) if len(text.strip("(). ")) == 1 else -1
    return options[index] if 0 <= index < len(options) else None


def _describe_bad_text(question: str, options: Sequence[str]) -> str:
    texts = (question, *options)
    if any(len(text) > LONGEST for text in texts):
        return f"a text of it is longer than {LONGEST} characters"
    if any(not char.isprintable() or char == "\N{REPLACEMENT CHARACTER}" for text in texts for char in text):
        return "a text of it is unprintable"
    return "" if any(map(str.isalpha, question)) else "its question is no text"


def _read_texts(value: Any) -> list[str] | None:
    """Read a list of texts; None for anything else."""
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return list(map(_clean, value)) if is_list else None


def _clean(text: str) -> str:
    return _LETTER.sub("", " ".join(text.split()))
