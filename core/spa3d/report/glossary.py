"""Glossary of a report."""

from __future__ import annotations

GLOSSARY = {
    "Blind": ("Score of the same model on the same questions without the point cloud, so from the text alone."),
    "Text floor": (
        "Best score that text alone gives: blind, the most frequent training answer to each question, or the most "
        "frequent answer to each kind of question. Score minus text floor is the gain from the cloud."
    ),
    "Chance": "Score of random answers.",
    "Usual answer": "Score of always giving the most frequent answer to that kind of question.",
    "95 % interval": (
        "Computed by resampling whole groups of look-alike records, because questions about one object are not "
        "independent. Intervals are not corrected for their number: without any effect, about 1 in 40 lies below 0 by "
        "chance. The verdict is corrected."
    ),
    "p": "Share of random sign flips whose mean change is at least as large as the observed one.",
    "Could see": (
        "Minimum detectable effect: the smallest true change that a paired test finds in 80 % of repetitions with "
        "other questions, two-sided at 5 %. It is 2.8 standard errors, computed over groups of look-alike records. A "
        "change that was not measured may be as large. It holds for one score alone; among several scores, Holm's "
        "correction needs a larger one."
    ),
    "McNemar": (
        "Exact test of the questions that changed: how often only the model after post-training is right (+), and how "
        "often only the one before (\N{MINUS SIGN}). It takes questions as independent, so with several questions per "
        "object trust p instead, which is the same test for whole groups."
    ),
    "ECE": (
        "Expected calibration error, on request: distance of the probability of the picked option from the share of "
        "right picks, over 15 bins of equal width. Beside it the Brier score: squared distance of the options' "
        "probabilities from the truth, from 0 to 2; four equal options give 0.75."
    ),
    "Counterfactual": (
        "Questions about objects that are unlike those in the training text (a blue banana), so that guessing from the "
        "text fails."
    ),
    "Flip": (
        "Pairs of clouds that differ in exactly one fact. A pair counts only if both answers are right; a model that "
        "ignores the cloud gets at most one of the two."
    ),
    "Margin": (
        "Log p of the right answer with the clean cloud minus log p with the noised cloud. It can rise while both "
        "fall, so the watchdog checks the clean cloud alone."
    ),
    "Wrong answer": (
        "The rejected answer of a preference pair, or the right answer for an object's twin. Its margin is measured on "
        "training batches; “gained” is the part of the margin beyond that of the model before training."
    ),
}
