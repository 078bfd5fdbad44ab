"""Objective: loss terms from named sequence scores.

It lists the scores it needs, and never sees the model.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from jaxtyping import Bool, Float, Int
from torch import Tensor

from spa3d.contracts.checks import tensor_misfit
from spa3d.contracts.config import ComponentConfig

Text = Literal["chosen", "rejected"]
Model = Literal["policy", "reference"]
Unit = Literal["token", "sequence"]


@dataclass(frozen=True)
class Need:
    """One required score: of a text, under a view of the cloud, by a model.

    Views: ``clean`` the record's own cloud; ``noised`` the same after the run's noise; ``other`` another
    object's cloud, never of the same group or category; ``twin`` the same object with one fact changed;
    ``blind`` the text-only prompt.

    Texts: ``chosen`` the true answers. ``rejected`` comes from preference pairs; where an objective asks for the view
    ``twin`` it is the answer that is true of the twin. Then only a share of the samples are minimal pairs (one
    question about the changed fact): the others have neither a rejected text nor a twin, and `Score.present` says so.

    Scores of the model ``reference`` never have a gradient. They may be computed before training, with other columns T.
    ``logp``, ``length``, ``mean_logp``, ``present`` and the order of the answer tokens of a row agree with the scores
    of the policy. Token-wise arithmetic must therefore use ``token_logp[answer_mask]``.

    ``vocabulary`` requests log p of the whole vocabulary at the answer positions, `Score.vocabulary`.
    """

    text: Text = "chosen"
    view: str = "clean"
    model: Model = "policy"
    grad: bool = True
    vocabulary: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """Key of the score in `Scores`."""
        return (self.text, self.view, self.model)


def asks_for_twins(needs: Sequence[Need]) -> bool:
    """Whether any of `needs` shows the twin; the rejected text is then true of the twin."""
    return any(need.view == "twin" for need in needs)


def asks_for_pairs(needs: Sequence[Need]) -> bool:
    """Whether `needs` contain rejected answers from preference pairs."""
    return any(need.text == "rejected" for need in needs) and not asks_for_twins(needs)


@dataclass(frozen=True)
class Score:
    """Log-probabilities of the answers of a batch, in nats, float32.

    Attributes:
        token_logp: log p of each token, 0 where ``answer_mask`` is false.
        answer_mask: true on answer tokens and the end token of every round.
        round_index: number of the conversation round of each token, -1 outside answers.
        vocabulary: log p of every token of the vocabulary at the answer positions, in the row-major order of
            ``answer_mask``; None unless the need asks for it.

    """

    token_logp: Float[Tensor, "B T"]
    answer_mask: Bool[Tensor, "B T"]
    round_index: Int[Tensor, "B T"]
    vocabulary: Float[Tensor, "A V"] | None = None

    @property
    def logp(self) -> Float[Tensor, " B"]:
        """Log p of the whole answer: the sum over its tokens."""
        return (self.token_logp * self.answer_mask).sum(dim=1)

    @property
    def length(self) -> Int[Tensor, " B"]:
        """Number of answer tokens; 0 where the sample has no such text or view."""
        return self.answer_mask.sum(dim=1)

    @property
    def mean_logp(self) -> Float[Tensor, " B"]:
        """Log p per answer token; 0 where there are none."""
        return self.logp / self.length.clamp(min=1)

    @property
    def present(self) -> Bool[Tensor, " B"]:
        """Whether the sample has this text and this view at all."""
        return self.answer_mask.any(dim=1)


class Scores(Mapping[tuple[str, str, str], Score]):
    """Scores by text and view: ``scores["chosen", "noised"]``, of the policy by default."""

    def __init__(self, scores: Mapping[tuple[str, str, str], Score]) -> None:
        self._scores = dict(scores)

    def __getitem__(self, key: tuple[str, ...]) -> Score:
        text, view, model = (*key, "policy") if len(key) == 2 else key
        return self._scores[text, view, model]

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        return iter(self._scores)

    def __len__(self) -> int:
        return len(self._scores)


@dataclass(frozen=True)
class Term:
    """One unreduced part of a loss.

    The trainer divides the sum of ``values`` by the number of chosen answer tokens (unit ``token``, values ``(B, T)``)
    or of samples (unit ``sequence``, values ``(B,)``) in the whole optimizer step, over all micro-batches and
    ranks, and multiplies by ``coefficient``.
    """

    name: str
    values: Float[Tensor, "B ..."]
    unit: Unit
    coefficient: float = 1.0


class Objective(ABC):
    """Training objective of post-training.

    A subclass states ``needs`` (a class attribute, or a property where they follow from the configuration) and
    turns the scores into terms.
    """

    Config: ClassVar[type[ComponentConfig]] = ComponentConfig
    needs: Sequence[Need]

    def __init__(self, **values: Any) -> None:
        self.config: Any = self.Config(**values)

    @abstractmethod
    def terms(self, scores: Scores) -> Sequence[Term]:
        """Return the unreduced terms of the loss.

        Gradients flow through the scores whose need has ``grad``. A sample that lacks a text or a view
        (`Score.present`) must have the value 0.
        """


def needs_misfit(objective: Objective) -> str:
    """Describe what is wrong with the needs of `objective`; empty if nothing is."""
    needs: object = getattr(objective, "needs", None)
    if not isinstance(needs, Sequence) or not needs or not all(isinstance(need, Need) for need in needs):
        return f"needs is {needs!r}; it must list at least one spa3d.Need"
    for need in needs:
        for value, known in ((need.text, get_args(Text)), (need.model, get_args(Model))):
            if value not in known:
                return f"{need} has {value!r}; there are: {', '.join(known)}"
    if not any(need.text == "chosen" and need.model == "policy" and need.view != "twin" for need in needs):
        return "needs has no chosen text of the policy under a view of the record itself; its tokens divide the loss"
    return ""


def terms_misfit(terms: object, scores: Scores) -> str:
    """Describe how `terms` break the contract of an objective on `scores`; empty if they do not."""
    if not isinstance(terms, Sequence) or not terms or not all(isinstance(term, Term) for term in terms):
        return f"terms() returns {terms!r}; it must return a sequence of at least one spa3d.Term"
    if len({term.name for term in terms}) < len(terms):
        return f"terms() returns several terms of one name: {', '.join(str(term.name) for term in terms)}"
    shapes = {tuple(score.token_logp.shape) for key, score in scores.items() if key[2] == "policy"}
    for term in terms:
        if term.unit not in get_args(Unit):
            return f"term {term.name!r} has the unit {term.unit!r}; there are: {', '.join(get_args(Unit))}"
        expected = sorted(shapes) if term.unit == "token" else [next(iter(shapes))[:1]]
        errors = [tensor_misfit(term.values, shape) for shape in expected]
        if all(errors):
            return f"term {term.name!r} of the unit {term.unit}: {errors[0]}"
        if isinstance(term.coefficient, bool) or not isinstance(term.coefficient, int | float):
            return f"term {term.name!r} has the coefficient {term.coefficient!r}; it must be a number"
        if not math.isfinite(term.coefficient):
            return f"term {term.name!r} has the coefficient {term.coefficient}; it must be finite"
    return ""
