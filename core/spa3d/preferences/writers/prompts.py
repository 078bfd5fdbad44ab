"""Prompts that ask an LLM for a wrong answer, and checks of its replies."""

from __future__ import annotations

import re

from spa3d.data.questions import chosen_option, split_options
from spa3d.metrics.reasoning import strip_thoughts
from spa3d.metrics.text_matching import mentions, token_f1, words
from spa3d.preferences.writers.contract import RewriteRequest

TASK = (
    "Below are a question about a 3D object and its true answer. Rewrite the answer so that it becomes wrong but stays "
    "plausible: change one or a few details (kind of object, color, number, part, shape, material or use) and keep "
    "everything else, the length and the style. If the question shows options, answer with another one of them, "
    "written as the true answer is. Reply with the rewritten answer only."
)
LONGER = 3
"""A rewrite may be so many times as long as the answer ..."""
SHORTEST = 12
"""... or as this many characters, where the answer is shorter."""
SHARED, SENTENCE = 0.25, 5
"""The F1 of the words shared with an answer of at least so many words; below it is another text, no rewrite."""

_LABEL = "Rewritten answer:"
_REFUSAL = re.compile(
    r"(?:i'?m|i am) (?:sorry|unable|not able)|sorry\b|i (?:can't|cannot|can not|won't)|as an? (?:ai|language model)"
    r"|unfortunately\b|i apologi[sz]e",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"<!doctype|<\|?/?[a-z_]+[^<>]*>", re.IGNORECASE)
_JSON = re.compile(r"[\[{]")
_QUOTES = {'"': '"', "\N{LEFT DOUBLE QUOTATION MARK}": "\N{RIGHT DOUBLE QUOTATION MARK}"}


def prompt_for(request: RewriteRequest) -> str:
    """Prompt of a request: instruction, question and true answer; the reply is the rewrite."""
    return f"{TASK}\n\nQuestion: {request.question}\nTrue answer: {request.answer}\n{_LABEL}"


def parse_reply(request: RewriteRequest, reply: str) -> tuple[str | None, str]:
    """Parse the wrong answer out of an LLM's `reply`; returns (text, "") or (None, reason)."""
    text = _strip_wrapping(reply)
    why_not = _form_error(text, request) or _content_error(text, request)
    return (None, why_not) if why_not else (text, "")


def _strip_wrapping(reply: str) -> str:
    """Strip thoughts, label, quotation marks, and text behind the answer from `reply`."""
    text = (strip_thoughts(reply) or "").strip().removeprefix(_LABEL).strip()
    text = text.partition("\nQuestion:")[0].partition("\nTrue answer:")[0].strip()
    closing = _QUOTES.get(text[:1])
    return text[1:-1].strip() if closing and len(text) > 2 and text.endswith(closing) else text


def _form_error(text: str, request: RewriteRequest) -> str:
    """Find why `text` has not the form of an answer; empty if it has."""
    answer = request.answer
    if not words(text):
        return "the reply is empty"
    if any(not (char.isprintable() or char in "\n\t") or char == "\N{REPLACEMENT CHARACTER}" for char in text):
        return "the reply is no text (unprintable characters)"
    if _MARKUP.search(text) and not _MARKUP.search(answer):
        return "the reply is markup"
    if _JSON.match(text) and not _JSON.match(answer):
        return "the reply is JSON or the like"
    if _REFUSAL.match(text) and not _REFUSAL.match(answer):
        return "the reply is a refusal"
    if TASK[:40] in text or _LABEL in text or "True answer:" in text or words(text) == words(request.question):
        return "the reply repeats the prompt"
    if len(text) > LONGER * max(len(answer), SHORTEST):
        return f"the reply is more than {LONGER} times as long as the answer"
    return ""


def _content_error(text: str, request: RewriteRequest) -> str:
    """Find why `text` is no wrong version of the answer; empty if no reason is found."""
    answer = request.answer
    if words(text) == words(answer):
        return "the reply is the true answer"
    stem, shown = split_options(request.question)
    if chosen := chosen_option(answer, shown):
        other = chosen_option(text, shown)
        return "" if other not in (None, chosen) else "the reply is none of the other options shown"
    fact = next((candidate for candidate in request.record.facts if words(candidate.question) == words(stem)), None)
    if fact and mentions(text, fact.answer) and mentions(answer, fact.answer):
        return "the reply still names the true value"
    if len(words(answer)) >= SENTENCE and token_f1(text, answer) < SHARED:
        return "the reply shares too few words with the answer to be a rewrite of it"
    return ""
