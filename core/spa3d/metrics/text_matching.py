"""Rules for free answers: names and facts in a text, and words shared with a reference.

Words are compared in lower case, without articles, in the singular and with number words as digits: "The four
CHAIRS" is ``4 chair``. Only whole words match: an armchair is not a chair. The rules compare words, not meaning: they
miss negations ("not a chair") and synonyms ("couch").
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache

from spa3d.contracts.dataset import Fact

Words = tuple[str, ...]

_TOKEN = re.compile(r"[^\W_]+|[^\w\s]")
_BINDERS = frozenset({"-", "'", "\N{RIGHT SINGLE QUOTATION MARK}"})
"""Marks inside a word; every other mark ends a phrase."""
_ARTICLES = frozenset({"a", "an", "the"})
_CONNECTIVES = frozenset(["and", "or", "but", "with", "without", "has", "have", "having", "while", "whose", "plus"])
"""Words between two phrases: "a white blade | and | a purple grip"."""
_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_DIGITS = {word: str(value) for value, word in enumerate(_NUMBERS)}
_IRREGULAR = {
    "axes": "axe",
    "bookshelves": "bookshelf",
    "buses": "bus",
    "feet": "foot",
    "knives": "knife",
    "leaves": "leaf",
    "loaves": "loaf",
    "men": "man",
    "mice": "mouse",
    "people": "person",
    "shelves": "shelf",
    "shoes": "shoe",
    "teeth": "tooth",
    "wolves": "wolf",
    "women": "woman",
}


def words(text: str) -> Words:
    """Normalized words of `text`, for comparisons."""
    return tuple(word for phrase in _phrases(text, frozenset()) for word in phrase)


def mentions(text: str, name: str) -> bool:
    """Whether `text` contains the words of `name` side by side; false for a name without words."""
    return _contains(words(text), words(name))


def first_mentioned(text: str, names: Collection[str]) -> str | None:
    """First of `names` in `text`, the name of its subject; None without any.

    If several names start at the same word, the longest counts ("street lamp" before "street"). Of adjacent names the
    last counts, as in English compounds: a "flower pot" is a pot, an "orange pumpkin" is a pumpkin. A comma between
    two names separates them.
    """
    lexicon = _lexicon(tuple(names))
    for phrase in _phrases(text, frozenset()):
        start, name = 0, None
        while start < len(phrase):
            match = _longest_name(phrase, start, lexicon)
            if match is None and name is not None:
                break
            name = match or name
            start += len(match) if match else 1
        if name is not None:
            return lexicon[name]
    return None


def asserts_fact(text: str, fact: Fact, subjects: Collection[str] = ()) -> bool:
    """Whether `text` states `fact`.

    A category is stated if it is the first one in the text (`first_mentioned`). A fact about a part is stated if one
    phrase contains both the part and the answer: "four brown legs" states the count and the color of the legs. A fact
    about the whole object is stated if a phrase contains its answer and none of `subjects`: "a white blade" does not
    make the object white. Phrases end at punctuation and at words like "and" or "with".

    Args:
        text: an answer or a caption.
        fact: the true fact.
        subjects: the parts that have facts of their own.

    """
    if fact.kind == "category":
        named = first_mentioned(text, (fact.answer, *fact.options))
        return named is not None and words(named) == words(fact.answer)
    answer, parts = words(fact.answer), [words(subject) for subject in subjects if subject]
    for phrase in _phrases(text, _CONNECTIVES):
        is_about = _contains(phrase, words(fact.subject)) if fact.subject else not _contains_any(phrase, parts)
        if is_about and _contains(phrase, answer):
            return True
    return False


def stated_answers(text: str, fact: Fact, subjects: Collection[str] = ()) -> list[str]:
    """List the possible answers to `fact` that `text` states, the true one included.

    Of answers that contain each other the longest counts: "a light blue seat" does not state ``blue``.

    Args:
        text: an answer or a caption.
        fact: the fact, with its possible answers.
        subjects: the parts that have facts of their own.

    """
    there = set(words(text))
    possible = [answer for answer in dict.fromkeys((fact.answer, *fact.options)) if there.issuperset(words(answer))]
    stated = [answer for answer in possible if asserts_fact(text, replace(fact, answer=answer), subjects)]
    return [
        answer
        for answer in stated
        if not any(other != answer and _contains(words(other), words(answer)) for other in stated)
    ]


def token_f1(text: str, reference: str) -> float:
    """F1 of the words of `text` against those of `reference`, in [0, 1] (as in SQuAD)."""
    counts, reference_counts = Counter(words(text)), Counter(words(reference))
    shared = (counts & reference_counts).total()
    return 2 * shared / (counts.total() + reference_counts.total()) if shared else 0.0


def _phrases(text: str, connectives: Collection[str]) -> list[Words]:
    """Split the words of `text` into phrases, at punctuation and at `connectives`."""
    runs: list[list[str]] = [[]]
    for match in _TOKEN.finditer(unicodedata.normalize("NFKC", text).lower().replace("'s ", " ")):
        token = match.group()
        if token in connectives or not (token[0].isalnum() or token in _BINDERS):
            runs.append([])
        elif token[0].isalnum() and token not in _ARTICLES:
            runs[-1].append(_DIGITS.get(token) or _make_singular(token))
    return [tuple(run) for run in runs if run]


def _make_singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        return word[:-2]
    return word[:-1]


@lru_cache(maxsize=32)
def _lexicon(names: tuple[str, ...]) -> dict[Words, str]:
    """Mapping of words to names; of two names with the same words the first counts."""
    return {words(name): name for name in reversed(names) if words(name)}


def _longest_name(phrase: Words, start: int, lexicon: dict[Words, str]) -> Words | None:
    """Longest name of `lexicon` that begins at index `start` of `phrase`."""
    for end in range(min(len(phrase), start + max(map(len, lexicon), default=0)), start, -1):
        if phrase[start:end] in lexicon:
            return phrase[start:end]
    return None


def _contains(phrase: Sequence[str], name: Words) -> bool:
    return bool(name) and any(tuple(phrase[i : i + len(name)]) == name for i in range(len(phrase) - len(name) + 1))


def _contains_any(phrase: Words, names: Collection[Words]) -> bool:
    return any(_contains(phrase, name) for name in names)
