"""Rules that read a free answer: what it names, which facts it states, how many words it shares with a reference.

Words are compared in lower case, without articles, in the singular and with number words as digits ("The four
CHAIRS" is ``4 chair``); they are compared whole, so an armchair is no chair. The rules see words and not meaning: a
negation ("not a chair") or a synonym ("couch") is beyond them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
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
    """The words of `text` as they are compared."""
    return tuple(word for phrase in _phrases(text, frozenset()) for word in phrase)


def mentions(text: str, name: str) -> bool:
    """Whether the words of `name` stand in `text` side by side; no word is never mentioned."""
    return _stands_in(words(name), words(text))


def first_mentioned(text: str, names: Collection[str]) -> str | None:
    """The name that `text` gives to what it conversations about, or None.

    It is the first of `names` in the text. Where several start at one word the longest counts ("street lamp" before
    "street"), and of names side by side the last, as English compounds go: a "flower pot" is a pot, an "orange
    pumpkin" a pumpkin. A comma between two names keeps them apart.
    """
    lexicon = _lexicon(tuple(names))
    for phrase in _phrases(text, frozenset()):
        place, found = 0, None
        while place < len(phrase):
            match = _longest(phrase, place, lexicon)
            if match is None and found is not None:
                break
            found = match or found
            place += len(match) if match else 1
        if found is not None:
            return lexicon[found]
    return None


def asserts_fact(text: str, fact: Fact, subjects: Collection[str] = ()) -> bool:
    """Whether `text` states `fact`.

    The category is stated if it is the first one named (`first_mentioned`). A fact about a part is stated if one phrase
    holds the part and the answer: "four brown legs" states the count and the color of the legs. A fact about the
    whole object is stated if its answer stands in a phrase that is about none of `subjects`: "a white blade" does not
    make the object white. Phrases end at punctuation and at words like "and" or "with".

    Args:
        text: an answer or a caption.
        fact: what is true.
        subjects: the parts that the object's facts are about.

    """
    if fact.kind == "category":
        named = first_mentioned(text, (fact.answer, *fact.options))
        return named is not None and words(named) == words(fact.answer)
    answer, parts = words(fact.answer), [words(subject) for subject in subjects if subject]
    for phrase in _phrases(text, _CONNECTIVES):
        about = _stands_in(words(fact.subject), phrase) if fact.subject else not _any_stands_in(parts, phrase)
        if about and _stands_in(answer, phrase):
            return True
    return False


def token_f1(text: str, reference: str) -> float:
    """Harmonic mean of the shares of words that `text` and `reference` have in common, in [0, 1] (SQuAD's F1)."""
    said, wanted = Counter(words(text)), Counter(words(reference))
    shared = (said & wanted).total()
    return 2 * shared / (said.total() + wanted.total()) if shared else 0.0


def _phrases(text: str, connectives: Collection[str]) -> list[Words]:
    """The words of `text` in runs that no punctuation and none of `connectives` interrupts."""
    runs: list[list[str]] = [[]]
    for match in _TOKEN.finditer(unicodedata.normalize("NFKC", text).lower().replace("'s ", " ")):
        token = match.group()
        if token in connectives or not (token[0].isalnum() or token in _BINDERS):
            runs.append([])
        elif token[0].isalnum() and token not in _ARTICLES:
            runs[-1].append(_DIGITS.get(token) or _singular(token))
    return [tuple(run) for run in runs if run]


def _singular(word: str) -> str:
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
    """Names by their words; of two names with the same words the first counts."""
    return {words(name): name for name in reversed(names) if words(name)}


def _longest(phrase: Words, place: int, lexicon: dict[Words, str]) -> Words | None:
    """The longest name of `lexicon` that starts at `place`."""
    for end in range(min(len(phrase), place + max(map(len, lexicon), default=0)), place, -1):
        if phrase[place:end] in lexicon:
            return phrase[place:end]
    return None


def _stands_in(name: Words, phrase: Sequence[str]) -> bool:
    return bool(name) and any(tuple(phrase[i : i + len(name)]) == name for i in range(len(phrase) - len(name) + 1))


def _any_stands_in(names: Collection[Words], phrase: Words) -> bool:
    return any(_stands_in(name, phrase) for name in names)
