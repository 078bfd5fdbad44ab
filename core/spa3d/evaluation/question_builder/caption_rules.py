"""Questions about an object by rule: color, texture and use, from the words of its caption."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from spa3d.evaluation.question_builder.lexicon import (
    COLORS,
    NEAR_COLORS,
    NEAR_TEXTURES,
    NEAR_USES,
    SHADES,
    TEXTURE_QUESTIONS,
    TEXTURES,
    USES,
)
from spa3d.metrics.text_matching import first_mentioned, mentions, words

OBJECT = "the object"
_COLOR = rf"(?:(?:{'|'.join(SHADES)})[ -])*(?:{'|'.join(COLORS)})(?:[ -](?:{'|'.join(COLORS)}))*"
_EXPRESSION = re.compile(rf"(?<![\w-]){_COLOR}(?:(?:, (?!and)|,? and ){_COLOR})*(?![\w-])", re.IGNORECASE)
_NO_COLOR = re.compile(
    r"\b(?:ice|whipped|sour) cream|\borange (?:tree|juice|slice|peel|fruit)|\bolive (?:tree|oil)"
    r"|\b(?:gold|silver|copper) (?:ore|ingot|bar|mine|coin)",
    re.IGNORECASE,
)
"""Names of things with the name of a color in them."""
_WHOLE = re.compile(r"\b(?:mostly|mainly|primarily|predominantly|entirely|all|in) $", re.IGNORECASE)
_MADE_OF = re.compile(r"\b(?:made|built|constructed) (?:out )?of (?:\w+ )?$")
_WORD = re.compile(r"\s*([A-Za-z][\w'-]*)")
_SMALL_WORDS = (
    "a an and are as at behind beside between but by for from has have in inside into is it its made mostly near of on "
    "or over resembling set shaped so that the this to topped under which while who whose with without against along "
    "around color colors colored tones tone hues accents"
)
_STOPS = frozenset(_SMALL_WORDS.split())
"""Words that end a noun phrase."""
_ING = "building ceiling king railing ring string wing awning painting swing"
_NOUNS_IN_ING = frozenset(_ING.split())
_LONGEST = 3
"""Words of a noun phrase."""
_USE_NAMES = {name: use for use, names in USES.items() for name in names}


@dataclass(frozen=True)
class Statement:
    """Something that a caption states, as a question with its answer.

    Attributes:
        question: without options.
        answer: the right option.
        family: statements of one family can be options of each other's questions.
        evidence: words that state the answer.

    """

    question: str
    answer: str
    family: str
    evidence: tuple[str, ...]


def find_statement(caption: str, category: str) -> Statement | None:
    """Find the first statement of a category in a caption; None without any."""
    finder = {"color": _find_color, "texture": _find_texture, "use": _find_use}.get(category)
    return next(finder(caption), None) if finder else None


def list_values(family: str) -> list[Statement]:
    """List all statements that a family can make: those with a closed set of answers."""
    if family in TEXTURES:
        return [Statement("", value, family, forms) for value, forms in TEXTURES[family].items()]
    if family == "use":
        return [Statement("", use, family, (use, *names)) for use, names in USES.items()]
    return []


def are_near(category: str, first: str, second: str) -> bool:
    """Whether two answers may both be true of one object, or be taken for each other."""
    if category == "color":
        one, two = _name_colors(first), _name_colors(second)
        return one <= _add_near_colors(two) or two <= _add_near_colors(one)
    groups = {"texture": NEAR_TEXTURES, "use": NEAR_USES}.get(category, ())
    return any({first, second} <= group for group in groups)


def _name_colors(expression: str) -> set[str]:
    return {word for word in words(expression) if word in COLORS or word == "slate"}


def _add_near_colors(colors: set[str]) -> set[str]:
    return colors.union(*(group for group in NEAR_COLORS if group & colors))


def _find_color(caption: str) -> Iterator[Statement]:
    """Yield statements on the whole object first, then on its parts."""
    matches = list(_EXPRESSION.finditer(_NO_COLOR.sub(_hide, caption)))
    for match in matches:
        if _WHOLE.search(caption[: match.start()]):
            question = "What are the main colors of the object?"
            yield _make_color(match.group(), question, "What is the main color of the object?")
    for match in matches:
        phrase = _read_phrase(caption, match.end())
        if phrase and not _WHOLE.search(caption[: match.start()]):
            question = f"What color {'are' if is_plural(phrase) else 'is'} the {phrase}?"
            yield _make_color(match.group(), question, question)


def _hide(match: re.Match[str]) -> str:
    return "_" * len(match.group())


def _make_color(expression: str, several: str, one: str) -> Statement:
    """Make the statement of an expression such as "red and dark gray"."""
    colors = expression.lower()
    count = len(re.split(r", (?:and )?| and ", colors))
    return Statement(one if count == 1 else several, colors, f"color, {count}", (colors,))


def _find_texture(caption: str) -> Iterator[Statement]:
    for family, values in TEXTURES.items():
        for value, forms in values.items():
            for form in forms:
                match = re.search(rf"(?<![\w-]){re.escape(form)}(?![\w-])", caption, re.IGNORECASE)
                phrase = _read_phrase(caption, match.end()) if match else ""
                made = match and _MADE_OF.search(caption[: match.start()])
                if phrase or made:
                    subject = f"the {phrase}" if phrase and not made else OBJECT
                    question = TEXTURE_QUESTIONS[family].format(subject=subject)
                    if is_plural(subject):
                        question = question.replace("What is", "What are").replace("does the", "do the", 1)
                    yield Statement(question, value, family, forms)


def _find_use(caption: str) -> Iterator[Statement]:
    name = first_mentioned(caption, _USE_NAMES)
    if name is not None and _ends_a_phrase(caption, name):
        use = _USE_NAMES[name]
        yield Statement("What is this object used for?", use, "use", (use, *USES[use]))


def _ends_a_phrase(caption: str, name: str) -> bool:
    """Whether the name ends a noun phrase: a "fish bone" is no fish."""
    match = re.search(rf"\b{re.escape(name)}(?:s|es)?\b", caption, re.IGNORECASE)
    return match is not None and not _read_phrase(caption, match.end())


def _read_phrase(caption: str, start: int) -> str:
    """Read the noun phrase at `start`: at most three words, up to a mark or a small word."""
    phrase: list[str] = []
    while match := _WORD.match(caption, start):
        word = match[1].lower()
        if word in _STOPS or (word.endswith(("ing", "ly")) and word not in _NOUNS_IN_ING):
            break
        phrase.append(word)
        start = match.end()
    return " ".join(phrase) if len(phrase) <= _LONGEST else ""


def is_plural(phrase: str) -> bool:
    """Whether the last word of a noun phrase is a plural."""
    last = phrase.split()[-1].lower()
    return last not in ("glass", "grass", "dress", "bus", "cactus", "lens") and words(last) != (last,)


def states(caption: str, option: str, evidence: Sequence[str] = ()) -> bool:
    """Whether a caption states an option: one of the texts of its evidence, or its own words.

    Of an option of four words or more all words of meaning must be there, in any order.
    """
    if any(mentions(caption, each) for each in evidence or (option,)):
        return True
    content = [word for word in words(option) if word not in _STOPS]
    return len(content) >= 4 and set(content) <= set(words(caption))


def select_wrong(
    statement: Statement, pool: Iterable[Statement], caption: str, category: str, *, count: int
) -> list[Statement]:
    """Select `count` statements that are false of the caption and unlike each other."""
    chosen: list[Statement] = []
    for other in pool:
        is_other = other.family == statement.family and not states(caption, other.answer, other.evidence)
        rivals = [statement.answer, *(each.answer for each in chosen)]
        if is_other and not any(
            answer == other.answer or are_near(category, answer, other.answer) for answer in rivals
        ):
            chosen.append(other)
        if len(chosen) == count:
            break
    return chosen
