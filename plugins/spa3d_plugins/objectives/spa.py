"""SPA: prefer the answer given the clean cloud to the same answer given a worse cloud."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from pydantic import Field

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Need, Objective, Scores, Term


class SPAConfig(ComponentConfig):
    """Weights of the contrast and of its anchor."""

    coefficient: float = Field(1.0, gt=0)
    """Weight of the contrast, summed over an answer's tokens, per sequence."""
    anchor: float = Field(0.0, ge=0)
    """Weight of the token cross-entropy that holds log p of the answer up; 0: the paper's loss alone."""


class SPA(Objective):
    """−log σ(log p(y|x) − log p(y|x′)), x′ being the noised cloud (SPA, equation 5).

    Equation 6 as printed expands this with the wrong sign; equation 5 is what is computed. The loss has no floor
    under log p(y|x): it can be won by spoiling both sides, which is what ``anchor`` is for.
    """

    Config = SPAConfig
    config: SPAConfig
    needs = (Need("chosen", "clean"), Need("chosen", "noised"))

    def terms(self, scores: Scores) -> Sequence[Term]:
        """The contrast in nats per sequence, ``(B,)``, and the anchor in nats per token where it has a weight."""
        clean, noised = scores["chosen", "clean"], scores["chosen", "noised"]
        contrast = Term("spa", -F.logsigmoid(clean.logp - noised.logp), "sequence", self.config.coefficient)
        if self.config.anchor == 0:
            return (contrast,)
        return (contrast, Term("nll", -clean.token_logp, "token", self.config.anchor))
