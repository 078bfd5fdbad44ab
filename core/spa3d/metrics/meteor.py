"""METEOR of single captions, as PointLLM computes it with nltk.

``meteor_score`` of nltk 3.10.4: words of ``str.split()`` in lower case are matched exactly, then by their Porter stems,
then by the synonyms of WordNet. Within each stage the last words are matched first. Alpha is 0.9, beta 3, gamma 0.5; a
perfect copy of n words scores 1 - 0.5 / n^3. Papers on scenes use the program METEOR 1.5, which scores differently.

Synonyms need the data of WordNet. Without them the third stage is left out, and the score has another name
(``meteor_nosyn``). Stems and WordNet are nltk's.

Source: Lavie and Agarwal, WMT 2007; PointLLM, https://arxiv.org/abs/2308.16911.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any

from spa3d.errors import DataError, first_line

ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5
CACHED = 1 << 17
"""Words whose stems and synonyms are kept."""
WORDNET = (
    "put WordNet 3.0 into FOLDER/corpora/wordnet and set NLTK_DATA=FOLDER (`python -m nltk.downloader -d FOLDER "
    "wordnet` does this), or take meteor_nosyn, which matches no synonyms"
)
"""How to get the data."""
Numbered = list[tuple[int, str]]
Synonyms = Callable[[str], Collection[str]]


class Meteor:
    """Scorer of captions by METEOR.

    Args:
        synonyms: whether to match synonyms.

    Raises:
        DataError: nltk is not installed, or it does not find the data of WordNet.

    """

    def __init__(self, *, synonyms: bool) -> None:
        self._stem = lru_cache(CACHED)(_load_stemmer())
        self._find_synonyms = lru_cache(CACHED)(_load_synonyms()) if synonyms else None

    def score(self, prediction: str, reference: str) -> float:
        """Compute METEOR of a caption, in [0, 1]; 0 without a match."""
        hypothesis = list(enumerate(prediction.lower().split()))
        target = list(enumerate(reference.lower().split()))
        matches = self._align(hypothesis, target)
        if not matches:
            return 0.0
        precision, recall = len(matches) / len(hypothesis), len(matches) / len(target)
        mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
        return (1 - GAMMA * (_count_chunks(matches) / len(matches)) ** BETA) * mean

    def _align(self, hypothesis: Numbered, target: Numbered) -> list[tuple[int, int]]:
        """Match words stage by stage; returns pairs of positions, sorted."""
        matches, hypothesis, target = _match(hypothesis, target, lambda word: (word,))
        hypothesis = [(index, self._stem(word)) for index, word in hypothesis]
        target = [(index, self._stem(word)) for index, word in target]
        stemmed, hypothesis, target = _match(hypothesis, target, lambda word: (word,))
        matches += stemmed
        if self._find_synonyms:  # nltk looks up the stems that are left, not the words
            matches += _match(hypothesis, target, self._find_synonyms)[0]
        return sorted(matches)


def _match(hypothesis: Numbered, target: Numbered, forms: Synonyms) -> tuple[list[tuple[int, int]], Numbered, Numbered]:
    """Match the words of one stage, the last first; returns the pairs and what is left."""
    places: dict[str, list[int]] = defaultdict(list)
    for index, (_, word) in enumerate(target):
        places[word].append(index)
    pairs, used, used_targets = [], set[int](), set[int]()
    for index in reversed(range(len(hypothesis))):
        free = [form for form in forms(hypothesis[index][1]) if places.get(form)]
        if free:
            partner = places[max(free, key=lambda form: places[form][-1])].pop()
            used.add(index)
            used_targets.add(partner)
            pairs.append((hypothesis[index][0], target[partner][0]))
    return pairs, _leave_out(hypothesis, used), _leave_out(target, used_targets)


def _leave_out(words: Numbered, used: Collection[int]) -> Numbered:
    return [entry for index, entry in enumerate(words) if index not in used]


def _count_chunks(matches: Iterable[tuple[int, int]]) -> int:
    """Number of runs of matches that are side by side in both texts."""
    chunks, last = 0, (-2, -2)
    for match in matches:
        chunks += match != (last[0] + 1, last[1] + 1)
        last = match
    return chunks


def _load_stemmer() -> Callable[[str], str]:
    try:
        from nltk.stem.porter import PorterStemmer
    except ImportError as error:
        raise DataError(f"METEOR needs nltk ({error}); install it with: pip install 'spa3d[captions]'") from error
    stem: Callable[[str], str] = PorterStemmer().stem
    return stem


def _load_synonyms() -> Synonyms:
    """Function that lists a word and its synonyms, without those of several words."""
    wordnet = _open_wordnet()

    def find(word: str) -> Collection[str]:
        names = {lemma.name() for synset in wordnet.synsets(word) for lemma in synset.lemmas()}
        return {word, *(name for name in names if "_" not in name)}

    return find


def _open_wordnet() -> Any:
    """The reader of WordNet, after it has found a first word."""
    from nltk.corpus import wordnet

    try:
        known = wordnet.synsets("chair")
    except LookupError as error:
        raise DataError(f"METEOR needs the data of WordNet, and nltk does not find them; {WORDNET}") from error
    except Exception as error:  # whatever nltk raises on files that are cut, or of another format
        cause = f"{type(error).__name__}: {first_line(error)}"
        raise DataError(f"METEOR needs the data of WordNet, and nltk cannot read them ({cause}); {WORDNET}") from error
    if not known:
        raise DataError(f"METEOR needs the data of WordNet, and those that nltk finds lack the word chair; {WORDNET}")
    return wordnet
