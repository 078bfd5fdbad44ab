"""Prompts that ask an LLM to write or to answer a question with four options, and the parsing of its replies."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from spa3d.data.option_questions import describe_bad_options, normalize_option, show_question
from spa3d.data.questions import LETTERS
from spa3d.evaluation.question_builder.contract import CATEGORIES, WRONG, Draft, DraftRequest
from spa3d.metrics.option_letters import extract_letter
from spa3d.metrics.reasoning import strip_thoughts

LONGEST = 300
"""Characters of a question or an option."""
NOTHING = "the writer says that the caption tells nothing of the category"
LETTER_ONLY = "Please answer directly with only the letter of the correct option and nothing else."
"""3DCQA's sentence below the options."""
_WRITE = """\
Below is a description of a 3D {level}. Write one multiple-choice question about {about}.
- Ask only for what the description states, so that a reader of the description alone can answer.
- Do not give the answer away in the question, and do not mention the description.
- Give four different options of similar length and style. Exactly one is right; the description must make the other three wrong.
- If the description says nothing about {about}, reply {{"question": null}}.
Reply with JSON only: {{"question": "...", "options": ["...", "...", "...", "..."], "answer": "the right option, word for word"}}

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
    return _WRITE.format(level=category.level, about=category.about, caption=request.caption)


def ask_for_answer(caption: str, draft: Draft, options: Sequence[str], level: str) -> str:
    """Prompt of the check: the letter of the right option, from the caption; without a caption, a guess."""
    question = show_question(draft.question, options)
    return (_CHECK if caption else _BLIND).format(caption=caption, question=question, level=level)


def parse_draft(request: DraftRequest, reply: str, made: dict[str, str]) -> Draft | str:
    """Parse a reply to `ask_for_question`; returns the draft, or why the reply is no use."""
    value = _parse_json(reply)
    if isinstance(value, str):
        return value
    if request.known:
        question, answer, wrong = request.known.question, request.known.answers[0], value.get("wrong")
        if not _are_texts(wrong) or len(wrong) != WRONG:
            return f"its 'wrong' is no list of {WRONG} texts"
        options = [answer, *map(_clean, wrong)]
    else:
        question, listed = value.get("question"), value.get("options")
        if "question" in value and question is None:
            return NOTHING
        if not isinstance(question, str) or not question.strip():
            return "it has no question"
        if not _are_texts(listed) or len(listed) != WRONG + 1:
            return f"its options are no list of {WRONG + 1} texts"
        options = list(map(_clean, listed))
        answer = _find_answer(value.get("answer"), options)
        if answer is None:
            return "its answer is none of its options"
    problem = describe_bad_options(options) or _describe_bad_text(_clean(question), options)
    if problem:
        return problem
    wrong = tuple(option for option in options if option != answer)
    return Draft(_clean(question), answer, wrong, "qa" if request.known else "caption", made=made)


def parse_pick(reply: str, options: Sequence[str]) -> str | None:
    """Parse the letter that a reply to `ask_for_answer` picks; None if it picks none."""
    text = strip_thoughts(reply)
    return extract_letter(text, dict(zip(LETTERS, options, strict=False))) if text else None


def _parse_json(reply: str) -> dict[str, Any] | str:
    """Parse the JSON object in a reply, in a fence or between words; returns a reason if there is none."""
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
    place = LETTERS.find(text.strip("(). ").upper()) if len(text.strip("(). ")) == 1 else -1
    return options[place] if 0 <= place < len(options) else None


def _describe_bad_text(question: str, options: Sequence[str]) -> str:
    texts = (question, *options)
    if any(len(text) > LONGEST for text in texts):
        return f"a text of it is longer than {LONGEST} characters"
    if any(not char.isprintable() or char == "\N{REPLACEMENT CHARACTER}" for text in texts for char in text):
        return "a text of it is unprintable"
    return "" if any(map(str.isalpha, question)) else "its question is no text"


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _clean(text: str) -> str:
    return _LETTER.sub("", " ".join(text.split()))
