"""Categories and possible wrong options of questions that people wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from spa3d.data.question_sources import OBJECT, AnsweredQuestion, SourceRecord
from spa3d.evaluation.question_builder.caption_rules import are_near
from spa3d.evaluation.question_builder.lexicon import NEAR_TEXTURES
from spa3d.metrics.text_matching import mentions, words

_PATTERNS = {
    "color": re.compile(r"\bwhat (?:\w+ )?colou?rs?\b", re.IGNORECASE),
    "texture": re.compile(
        r"\bwhat (?:\w+ )?(?:materials?|textures?|patterns?)\b|\bmade (?:out )?off?\b", re.IGNORECASE
    ),
    "use": re.compile(r"\b(?:used for|purpose|function of|what .* for\?$)", re.IGNORECASE),
    "navigation": re.compile(
        r"\b(?:which|what) (?:direction|way)\b|\bhow (?:do|can|would|should) i (?:get|go|reach)\b"
        r"|\b(?:should|do|would|must) i (?:turn|go|move|walk|look)\b",
        re.IGNORECASE,
    ),
    "place": re.compile(
        r"^where (?:is|are|was|does|do)\b|^(?:on|to|at|in) (?:what|which) (?:side|part|corner)\b|\bwhat side\b",
        re.IGNORECASE,
    ),
    "thing": re.compile(
        r"\b(?:what|which object|which item)(?: \w+)? (?:is|are|sits|stands|hangs)\b.*"
        r"\b(?:on|next to|beside|behind|front|under|underneath|below|above|left|right|between|near|against|attached)\b",
        re.IGNORECASE,
    ),
}
_NOT_A_THING = re.compile(
    r"\bwhat (?:shape|size|number|kind|type|is the (?:shape|size|number|color|material))\b", re.IGNORECASE
)
_RELATION = re.compile(
    r"\b(?:left|right|next to|beside|behind|front|between|above|below|under|underneath|beneath|near|across|opposite|"
    r"against|close to|top of)\b",
    re.IGNORECASE,
)
_DIRECTIONS = {
    "left": ("left", "to my left", "turn left"),
    "right": ("right", "to my right", "turn right"),
    "forward": ("forward", "forwards", "front", "straight", "ahead", "in front"),
    "backward": ("backward", "backwards", "back", "behind", "turn around", "around"),
}
SIDES = ("left", "right", "in front", "behind")
"""Options for the answers left, right, forward and backward to a question where something is."""
_LONGEST = 8
"""Words of an option."""
_LENGTHS = 2
"""Largest difference of the words of an option and of the answer."""
_USELESS = frozenset({"yes", "no", "0", "none", "odd", "even", "unknown"})
_TURNED = ({"left", "right"}, {"front", "behind"}, {"front", "back"}, {"above", "below"}, {"above", "under"})
_SMALL_WORDS = "to of on in at by side is are and with next beside near close it room"
_SMALL = frozenset(_SMALL_WORDS.split())
"""Words that say nothing about where something is."""


def classify_question(known: AnsweredQuestion, level: str) -> str:
    """Category of a question; empty without one, or if its answer is no option."""
    answer = known.answers[0]
    named = words(answer)
    if not named or named[0] in _USELESS or named[-1].isdigit() or len(answer.split()) > _LONGEST:
        return ""
    question = known.question.split(". ")[-1]
    names = ("color", "texture", "use") if level == OBJECT else ("navigation",)
    category = next((name for name in names if _PATTERNS[name].search(question)), "")
    if category == "navigation":
        return category if find_direction(answer) else ""
    if category or level == OBJECT or any(_PATTERNS[name].search(question) for name in ("color", "texture", "use")):
        return category
    if _PATTERNS["place"].search(question):
        return "relation" if _RELATION.search(answer) or find_direction(answer) else "grounding"
    is_thing = _PATTERNS["thing"].search(question) and not _NOT_A_THING.search(question)
    return "grounding" if is_thing and not _RELATION.search(answer) else ""


def find_direction(answer: str) -> str:
    """The way that an answer names: left, right, forward or backward; else empty."""
    named = [way for way, forms in _DIRECTIONS.items() if any(mentions(answer, form) for form in forms)]
    return named[0] if len(named) == 1 and len(words(answer)) <= 3 else ""


def list_directions() -> list[str]:
    """List the four ways of a question of navigation."""
    return list(_DIRECTIONS)


def has_similar_length(option: str, answer: str) -> bool:
    """Whether an option has about as many words as the answer."""
    return abs(len(option.split()) - len(answer.split())) <= _LENGTHS


@dataclass(frozen=True)
class KnownAnswers:
    """What is known about one record from its own questions: nothing of it is a wrong option."""

    record: SourceRecord

    @cached_property
    def _text(self) -> str:
        """The words of everything said about the record, each text between two bars."""
        record = self.record
        texts = [*record.captions, *record.names]
        texts += [text for known in record.questions for text in (known.question, *known.answers)]
        return " | ".join(["", *(" ".join(words(text)) for text in texts), ""])

    def rules_out(self, option: str) -> bool:
        """Whether an option may be true of the record, because its words are said about it."""
        return f" {' '.join(words(option))} " in self._text


def is_possible_option(option: str, others: Sequence[str], category: str) -> bool:
    """Whether an option differs from all others so that at most one of them can be true.

    Places may share words only if one is the opposite of the other: left and right, above and below.
    """
    return not any(_may_both_be_true(option, other, category) for other in others)


def _may_both_be_true(first: str, second: str, category: str) -> bool:
    if category in ("color", "texture", "use") and are_near(category, first, second):
        return True
    if any({first, second} <= group for group in NEAR_TEXTURES):
        return True
    one, two = set(words(first)) - _SMALL, set(words(second)) - _SMALL
    if not one or not two or mentions(first, second) or mentions(second, first):
        return True
    turned = any((one & pair) and (two & pair) and (one & pair) != (two & pair) for pair in _TURNED)
    return bool(one & two) and not turned


def list_forms(question: str) -> tuple[str, ...]:
    """Forms of a question, the closest first; answers to one form are of one kind."""
    start = question.split(". ")[-1].lower().split()
    return (" ".join(start[:3]), " ".join(start[:2]), " ".join(start[:1]))
