"""Paired comparison of two models: McNemar's test, and the smallest effect that a test sees.

McNemar's test (Psychometrika 12, 1947) looks at the *discordant* questions, those that only one of the two models
answers right. It is exact here, for any number of them: a two-sided binomial test with share 1/2. Its p value is not
the mid-p value, so it never rejects more often than it says; it is a little cautious. It takes questions as
independent. Questions about one object are not. `spa3d.metrics.intervals.sign_flip_p` is the same test for clusters:
with one question per cluster both give the same p value.

The *minimum detectable effect* of a comparison is the true difference that a two-sided test at 5 % finds in 80 % of
repetitions with other questions: 2.8 standard errors (Cohen, Statistical Power Analysis, 1988, chapter 2; Card et al.,
EMNLP 2020, for benchmarks of language models).
"""

from __future__ import annotations

from math import exp, lgamma, log
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from spa3d.metrics.intervals import Values

ALPHA = 0.05
"""Level of the two-sided test behind a minimum detectable effect."""
POWER = 0.8
"""Share of repetitions in which the test finds an effect of that size."""


class McNemar(NamedTuple):
    """Discordant questions of two models, and McNemar's exact p value.

    ``gained`` questions are right only with the second model, ``lost`` ones only with the first.
    """

    gained: int
    lost: int
    p: float


def mcnemar(first: Values, second: Values) -> McNemar | None:
    """Test whether two models answer the same share of questions right.

    Args:
        first: value of each question with the first model, ``(n,)``.
        second: those of the second model, in the same order.

    Returns:
        None if a value is neither 0 nor 1; the test is about right and wrong only.

    """
    values = np.stack([first, second])
    if not np.isin(values, (0, 1)).all():
        return None
    gained, lost = int((second > first).sum()), int((second < first).sum())
    return McNemar(gained, lost, mcnemar_p(gained, lost))


def mcnemar_p(gained: int, lost: int) -> float:
    """Exact two-sided p value of McNemar's test, from the numbers of discordant questions.

    ``2 P(X <= min(gained, lost))`` for X from a binomial distribution of the discordant questions with share 1/2, at
    most 1; 1 without discordant questions.
    """
    total = gained + lost
    if total == 0:
        return 1.0
    logs = [lgamma(total + 1) - lgamma(k + 1) - lgamma(total - k + 1) for k in range(min(gained, lost) + 1)]
    return min(1.0, sum(exp(each + (1 - total) * log(2)) for each in logs))


def detectable_effect(error: float, *, comparisons: int = 1, largest: float = 1.0) -> float:
    """Minimum detectable effect of a paired difference with standard error `error`.

    Args:
        error: standard error of the mean difference, over clusters.
        comparisons: number of comparisons that share the level of 5 % (Bonferroni's bound, which is the first step of
            Holm's correction); 1: this one alone.
        largest: largest possible difference; a greater effect does not exist.

    """
    return min(largest, power_factor(comparisons) * error)


def power_factor(comparisons: int = 1) -> float:
    """Minimum detectable effect in standard errors: 2.80 for one comparison."""
    normal = NormalDist()
    return normal.inv_cdf(1 - ALPHA / (2 * comparisons)) + normal.inv_cdf(POWER)
