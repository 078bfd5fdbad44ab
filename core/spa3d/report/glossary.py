"""Glossary of a report."""

from __future__ import annotations

GLOSSARY = {
    "Blind": (
        "Score of the same model on the same questions without the point cloud, so from the text alone. Score minus "
        "blind is the gain from the cloud."
    ),
    "Chance": "Score of random answers.",
    "Usual answer": "Score of always giving the most frequent answer to that kind of question.",
    "95 % interval": (
        "Computed by resampling whole records, because questions about one object are not independent. Intervals are "
        "not corrected for their number: without any effect, about 1 interval in 40 lies below 0 by chance."
    ),
    "p": "Share of random sign flips whose mean change is at least as large as the observed one.",
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
