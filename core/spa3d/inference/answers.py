"""A question about a cloud, and a model's answer to it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from spa3d.contracts.dataset import Round


@dataclass(frozen=True)
class CloudQuestion:
    """A question about one cloud.

    Attributes:
        question: the text; the cloud stands at its mark ``<point>``, or before it.
        cloud: encoder tokens ``(M, D)`` of the cloud (`Session.encode`); None: the question is asked without a cloud.
        options: candidate answers, of which the most likely is taken; empty: a free answer.
        history: earlier rounds about the same cloud; not with options.
        id: makes the draws of sampling different from those of other questions.

    """

    question: str
    cloud: Tensor | None = None
    options: tuple[str, ...] = ()
    history: tuple[Round, ...] = ()
    id: str = ""


@dataclass(frozen=True)
class BlindAnswer:
    """The same question asked without the cloud.

    Attributes:
        text: what the model answers then.
        logp: log p of the answer *with* the cloud, asked without it, in nats.
        option_logp: log p of each option.

    """

    text: str
    logp: float
    option_logp: tuple[float, ...] = ()


@dataclass(frozen=True)
class Answer:
    """Answer of a model, with its log p: a sum over the answer's tokens, in nats.

    Attributes:
        text: the answer, or the chosen option.
        logp: log p of the answer given cloud and question, the end token included if there is one.
        tokens: number of these tokens.
        stopped: whether the model ended the answer; otherwise it was cut at the most tokens allowed.
        option_logp: log p of each option.
        blind: the same without the cloud; None unless requested, and for a question without a cloud.

    """

    text: str
    logp: float
    tokens: int
    stopped: bool = True
    option_logp: tuple[float, ...] = ()
    blind: BlindAnswer | None = None

    @property
    def logp_per_token(self) -> float:
        """Mean log p per token, in nats."""
        return self.logp / self.tokens

    @property
    def blind_logp(self) -> float | None:
        """Log p of the same answer without the cloud, in nats; None unless requested."""
        return None if self.blind is None else self.blind.logp
