"""BLEU-1 to BLEU-4 of single captions, as PointLLM computes them with nltk.

``sentence_bleu`` of nltk 3.10.4 with one reference, smoothing method 1 (a count of 0.1 where no n-gram matches) and
`WEIGHTS`. Tokens are the pieces of ``str.split()``: case and punctuation count, "Lamp." is not "lamp".

Source: Papineni et al., ACL 2002; Chen and Cherry, WMT 2014 (smoothing); PointLLM, https://arxiv.org/abs/2308.16911.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

WEIGHTS = {
    "bleu_1": (1.0, 0.0, 0.0, 0.0),
    "bleu_2": (0.5, 0.5, 0.0, 0.0),
    "bleu_3": (0.33, 0.33, 0.33, 0.0),
    "bleu_4": (0.25, 0.25, 0.25, 0.25),
}
"""Weights of the orders 1 to 4. Those of BLEU-3 sum to 0.99, as in PointLLM."""
ORDERS = 4
EPSILON = 0.1
"""Matches of an order without any."""


def score_bleu(prediction: str, reference: str) -> dict[str, float]:
    """Compute BLEU-1 to BLEU-4 of a caption, each in [0, 1]; 0 where no word is shared."""
    hypothesis, target = prediction.split(), reference.split()
    precisions = [_precision(hypothesis, target, order) for order in range(1, ORDERS + 1)]
    if precisions[0][0] == 0:
        return dict.fromkeys(WEIGHTS, 0.0)
    logs = [math.log((matches or EPSILON) / total) for matches, total in precisions]
    penalty = 1.0 if len(hypothesis) > len(target) else math.exp(1 - len(target) / len(hypothesis))
    return {
        name: penalty * math.exp(math.fsum(weight * log for weight, log in zip(weights, logs, strict=True)))
        for name, weights in WEIGHTS.items()
    }


def _precision(hypothesis: Sequence[str], target: Sequence[str], order: int) -> tuple[int, int]:
    """Clipped matches of one order, and the number of n-grams in the hypothesis, at least 1."""
    counts, limits = _count_ngrams(hypothesis, order), _count_ngrams(target, order)
    return (counts & limits).total(), max(1, counts.total())


def _count_ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))
