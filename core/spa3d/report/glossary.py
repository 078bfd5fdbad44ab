"""Meaning of the words of a report."""

from __future__ import annotations

GLOSSARY = {
    "Blind": (
        "The same model, asked the same question without the point cloud. What it still gets right, it knows from "
        "language alone. The distance between score and blind is what the cloud is worth."
    ),
    "Chance": "What picking at random would score.",
    "Usual answer": "What always giving the most frequent answer to that kind of question would score.",
    "95 % interval": (
        "From resampling whole records, because questions about one object stand or fall together. Each interval is "
        "taken alone: of forty such intervals about nothing at all, one lies wholly below 0 by luck."
    ),
    "p": "How often turning the sign of each record's change at random moves the mean as far as it moved, or farther.",
    "Counterfactual": (
        "Questions about objects made to break the patterns of the training text, so that guessing from language fails."
    ),
    "Flip": (
        "Pairs of clouds that differ in exactly one fact. A pair counts when both are right; a model that does not "
        "look gets at most one."
    ),
    "Margin": (
        "How much more likely the right answer is with the clean cloud than with the noised one. It can rise while "
        "both fall, which is why the watchdog looks at the clean one alone."
    ),
    "Wrong answer": (
        "The answer to avoid of a preference pair, or what is true of an object's twin instead. The margin over it is "
        "taken on training batches; what of it the model did not have before training is drawn as “gained”."
    ),
}
