"""CIDEr-D of captions, as pycocoevalcap 1.2 computes it.

Papers on 3D captions mean it when they say CIDEr. Weights are counts times the log of the inverse document frequency. A
document is an item with all its references, so the score of a caption depends on the whole set: one item alone scores
0. A score lies in [0, 10]; papers print it times 100. Texts are split at white space: whoever wants lower case or no
punctuation cleans them first. With PTB tokens the scores of the same captions differ strongly, so state the tokens
beside every score.

Source: Vedantam et al., CVPR 2015.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spa3d.errors import DataError

ORDERS = 4
SIGMA = 6.0
"""Width of the length factor, in words."""
SCALE = 10.0
Ngram = tuple[str, ...]
Orders = tuple[Mapping[Ngram, float], ...]


@dataclass(frozen=True)
class DocumentFrequencies:
    """Number of documents with each n-gram of 1 to 4 words.

    Attributes:
        counts: documents by n-gram; others count as one.
        documents: number of documents.

    """

    counts: Mapping[Ngram, float]
    documents: int

    def weigh(self, text: str) -> tuple[Orders, tuple[float, ...], int]:
        """Weights of the n-grams of a text by order, their norms, and the number of word pairs."""
        words = text.split()
        orders = tuple(
            {ngram: count * self._rarity(ngram) for ngram, count in _count_ngrams(words, order).items()}
            for order in range(1, ORDERS + 1)
        )
        norms = tuple(math.sqrt(sum(weight * weight for weight in weights.values())) for weights in orders)
        return orders, norms, max(0, len(words) - 1)

    def _rarity(self, ngram: Ngram) -> float:
        return math.log(self.documents) - math.log(max(1.0, self.counts.get(ngram, 0.0)))


def count_documents(references: Sequence[Sequence[str]]) -> DocumentFrequencies:
    """Count the documents with each n-gram; a document is one item's references."""
    counts: Counter[Ngram] = Counter()
    for texts in references:
        counts.update({ngram for text in texts for order in range(1, ORDERS + 1) for ngram in _ngrams(text, order)})
    return DocumentFrequencies(counts, len(references))


def score_cider_d(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    sigma: float = SIGMA,
    frequencies: DocumentFrequencies | None = None,
) -> list[float]:
    """Compute CIDEr-D of each caption, in [0, 10]; the score of the set is their mean.

    Args:
        predictions: the captions.
        references: one or more for each caption.
        sigma: width of the length factor.
        frequencies: those of another set; None: those of `references`.

    Raises:
        DataError: the numbers differ, or an item has no reference.

    """
    if len(predictions) != len(references):
        raise DataError(f"CIDEr-D: {len(predictions)} captions and references of {len(references)} items")
    missing = [number for number, texts in enumerate(references) if not texts]
    if missing:
        raise DataError(f"CIDEr-D: item {missing[0]} has no reference")
    table = frequencies or count_documents(references)
    scores = []
    for prediction, texts in zip(predictions, references, strict=True):
        weighed = table.weigh(prediction)
        similarities = [_similarity(weighed, table.weigh(text), sigma) for text in texts]
        scores.append(SCALE * sum(similarities) / len(texts))
    return scores


def _similarity(
    prediction: tuple[Orders, tuple[float, ...], int], reference: tuple[Orders, tuple[float, ...], int], sigma: float
) -> float:
    """Mean over the orders of the clipped cosine, times the length factor."""
    (orders, norms, pairs), (other_orders, other_norms, other_pairs) = prediction, reference
    total = 0.0
    for weights, norm, others, other_norm in zip(orders, norms, other_orders, other_norms, strict=True):
        if norm and other_norm:
            shared = weights.keys() & others.keys()
            total += sum(min(weights[ngram], others[ngram]) * others[ngram] for ngram in shared) / (norm * other_norm)
    return total / ORDERS * math.exp(-((pairs - other_pairs) ** 2) / (2 * sigma**2))


def _count_ngrams(words: Sequence[str], order: int) -> Counter[Ngram]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


def _ngrams(text: str, order: int) -> set[Ngram]:
    return set(_count_ngrams(text.split(), order))
