"""Objective ``margin``."""

from collections.abc import Sequence

from pydantic import Field
from torch.nn.functional import relu

from spa3d import ComponentConfig, Need, Objective, Scores, Term


class Config(ComponentConfig):
    """What the hinge asks for."""

    margin: float = Field(1.0, ge=0)
    """Nats by which the clean cloud must beat the noised one."""


class Margin(Objective):
    """Hinge on log p of the answer: clean must exceed noised by ``margin``."""

    Config = Config
    needs = (Need(view="clean"), Need(view="noised"))

    def terms(self, scores: Scores) -> Sequence[Term]:
        clean, noised = scores["chosen", "clean"], scores["chosen", "noised"]
        short = relu(self.config.margin - (clean.logp - noised.logp))
        return [Term("nll", -clean.token_logp, "token"), Term("margin", short, "sequence", coefficient=0.05)]
