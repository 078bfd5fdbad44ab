"""ROUGE-1, -2 and -L of single captions, as the package ``rouge`` 1.0.1 computes them.

PointLLM prints the F values of that package. It differs from the ROUGE of Lin (2004) in four ways:

- A text is cut into sentences at every ".", also in "3.5" and "e.g.".
- N-grams are sets: a repeated word counts once.
- ROUGE-L takes the words of the longest common subsequences of all pairs of sentences, as one set.
- F = 2PR / (P + R + 1e-8), so a perfect copy scores 0.999999995.

The package stops with ``ValueError`` where a text has no sentence, because it is empty or has only dots. It stops with
``RecursionError`` in sentences of several hundred words, which are scored here.

Source: Lin, ACL workshop Text Summarization Branches Out, 2004; PointLLM, https://arxiv.org/abs/2308.16911.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

NAMES = ("rouge_1", "rouge_2", "rouge_l")
GUARD = 1e-8
"""Keeps F finite where nothing matches."""


def score_rouge(prediction: str, reference: str) -> dict[str, float] | None:
    """Compute ROUGE of a caption, each in [0, 1]; None where a text has no sentence."""
    hypothesis, target = split_sentences(prediction), split_sentences(reference)
    if not hypothesis or not target:
        return None
    words, target_words = _join(hypothesis), _join(target)
    common = set[str]()
    for sentence in target:
        for other in hypothesis:
            common |= _common_words(sentence, other)
    return {
        "rouge_1": _overlap(set(words), set(target_words)),
        "rouge_2": _overlap(set(pairwise(words)), set(pairwise(target_words))),
        "rouge_l": _f_value(len(common), len(set(words)), len(set(target_words))),
    }


def split_sentences(text: str) -> list[list[str]]:
    """Split a text into the words of its sentences; a blank between two dots is one empty word."""
    return [" ".join(part.split()).split(" ") for part in text.split(".") if part]


def _join(sentences: Sequence[Sequence[str]]) -> list[str]:
    return [word for sentence in sentences for word in sentence]


def _overlap(ngrams: set[object], others: set[object]) -> float:
    return _f_value(len(ngrams & others), len(ngrams), len(others))


def _f_value(shared: int, size: int, target_size: int) -> float:
    """F value of `shared` elements of two sets; 0 for an empty set."""
    precision = shared / size if size else 0.0
    recall = shared / target_size if target_size else 0.0
    return 2.0 * (precision * recall / (precision + recall + GUARD))


def _common_words(target: Sequence[str], words: Sequence[str]) -> set[str]:
    """Words of the longest common subsequence; of several the one that the package picks."""
    lengths = _fill_table(target, words)
    common = set[str]()
    i, j = len(target), len(words)
    while i and j:
        if target[i - 1] == words[j - 1]:
            common.add(target[i - 1])
            i, j = i - 1, j - 1
        elif lengths[i - 1][j] > lengths[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return common


def _fill_table(target: Sequence[str], words: Sequence[str]) -> list[list[int]]:
    """Lengths of the longest common subsequences of all beginnings."""
    rows = [[0] * (len(words) + 1)]
    for expected in target:
        above, row, left = rows[-1], [0], 0
        for j, word in enumerate(words):
            left = above[j] + 1 if word == expected else max(above[j + 1], left)
            row.append(left)
        rows.append(row)
    return rows
